using Mirror.Configuration;

namespace Mirror.Telemetry;

/// <summary>
/// A line for each request, on stdout: Apache's combined log format, or JSON where the application log is JSON. Writing an entry copies a
/// line into memory: a pull never waits for the reader of the log. When the reader falls too far behind, lines are dropped and counted, and
/// the application log says how many.
/// </summary>
public sealed partial class AccessLog : IDisposable
{
    private readonly RequestMetrics _metrics;
    private readonly ILogger _logger;
    private readonly LineWriter _lines;
    // Null for Apache's combined format.
    private readonly JsonAccessLine? _json;

    public AccessLog(LogOptions options, RequestMetrics metrics, ILogger<AccessLog> logger)
        : this(Console.OpenStandardOutput(), options, metrics, logger)
    {
    }

    internal AccessLog(Stream stream, LogOptions options, RequestMetrics metrics, ILogger logger)
    {
        (_metrics, _logger) = (metrics, logger);
        _json = options.Formatter is LogFormatter.Text ? null : new(options.Formatter is LogFormatter.Logstash, options.TypedFields);
        _lines = new LineWriter("access log", stream, ReportDropped);
    }

    /// <summary>Takes one request. Never waits and never fails.</summary>
    public void Write(in CompletedRequest request)
    {
        if (_json is null)
            _lines.Write(CombinedLine.Of(request));
        else
            _lines.Write(_json.Of(request));
    }

    /// <summary>Writes what was taken, for at most five seconds.</summary>
    public void Dispose() => _lines.Dispose();

    private void ReportDropped(long lines)
    {
        _metrics.LinesDropped(lines);
        LogDropped(lines);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "access log: {Lines} lines dropped, because the reader of stdout does not keep up")]
    private partial void LogDropped(long lines);
}
