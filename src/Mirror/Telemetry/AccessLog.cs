using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mirror.Telemetry;

/// <summary>
/// Apache's combined log format, on stdout. Writing an entry copies a line into memory: a pull never waits for the reader of the log.
/// When the reader falls too far behind, lines are dropped and counted, and the application log says how many.
/// </summary>
public sealed partial class AccessLog : IDisposable
{
    // Outside quotes a blank ends the field.
    private static readonly SearchValues<char> Unquoted =
        SearchValues.Create([.. Enumerable.Range('!', 0x7f - '!').Select(c => (char)c).Where(c => c is not ('"' or '\\'))]);

    [ThreadStatic]
    private static StringBuilder? _line;

    private readonly RequestMetrics _metrics;
    private readonly ILogger _logger;
    private readonly LineWriter _lines;

    public AccessLog(RequestMetrics metrics, ILogger<AccessLog> logger)
        : this(Console.OpenStandardOutput(), metrics, logger)
    {
    }

    internal AccessLog(Stream stream, RequestMetrics metrics, ILogger logger)
    {
        (_metrics, _logger) = (metrics, logger);
        _lines = new LineWriter("access log", stream, ReportDropped);
    }

    /// <summary>Takes one request. Never waits and never fails.</summary>
    public void Write(in CompletedRequest request)
    {
        var line = _line ??= new StringBuilder(512);
        line.Clear();
        AppendField(line, request.RemoteAddress, Unquoted);
        line.Append(" - ");
        AppendField(line, request.User, Unquoted);
        line.Append(CultureInfo.InvariantCulture, $" [{request.Time.UtcDateTime:dd/MMM/yyyy:HH:mm:ss} +0000] \"");
        AppendField(line, request.Method, Unquoted);
        line.Append(' ');
        AppendField(line, request.Uri, LineEscapes.Quotable);
        line.Append(' ');
        AppendField(line, request.Protocol, Unquoted);
        line.Append(CultureInfo.InvariantCulture, $"\" {request.Status} {request.Written} \"");
        AppendField(line, request.Referer, LineEscapes.Quotable);
        line.Append("\" \"");
        AppendField(line, request.UserAgent, LineEscapes.Quotable);
        line.Append("\"\n");
        _lines.Write(line);
    }

    /// <summary>Writes what was taken, for at most five seconds.</summary>
    public void Dispose() => _lines.Dispose();

    private void ReportDropped(long lines)
    {
        _metrics.LinesDropped(lines);
        LogDropped(lines);
    }

    private static void AppendField(StringBuilder line, ReadOnlySpan<char> text, SearchValues<char> allowed)
    {
        if (text.IsEmpty)
            line.Append('-');
        else if (!text.ContainsAnyExcept(allowed))
            line.Append(text);
        else
            AppendEscaped(line, text, allowed);
    }

    // As Apache does: C's escapes, and \xhh for every other byte that is not printable ASCII.
    private static void AppendEscaped(StringBuilder line, ReadOnlySpan<char> text, SearchValues<char> allowed)
    {
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.IsAscii && allowed.Contains((char)rune.Value))
                line.Append((char)rune.Value);
            else if (LineEscapes.Of(rune) is { } escape)
                line.Append(escape);
            else
                foreach (var b in bytes[..rune.EncodeToUtf8(bytes)])
                    line.Append(CultureInfo.InvariantCulture, $"\\x{b:x2}");
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "access log: {Lines} lines dropped, because the reader of stdout does not keep up")]
    private partial void LogDropped(long lines);
}
