using System.Collections.Concurrent;

namespace Mirror.Telemetry;

/// <summary>The application log: every event one line.</summary>
internal sealed partial class LineLoggerProvider : ILoggerProvider
{
    // A reader that pauses for a moment, as a container's log driver may, costs no line; one that stops costs no pull
    // more than this moment.
    private static readonly TimeSpan UpstreamDeadlines = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, LineLogger> _loggers = new();
    private readonly Func<string, LineLogger> _newLogger;
    private readonly LineSink _sink;

    /// <param name="fields">On every line: <c>log.fields</c>.</param>
    public LineLoggerProvider(Stream stream, ILineFormat format, IReadOnlyDictionary<string, string> fields, TimeProvider clock)
    {
        KeyValuePair<string, object>[] everywhere = [.. fields.Select(field => KeyValuePair.Create(Key(field.Key), (object)field.Value))];
        _sink = new LineSink("application log", stream, UpstreamDeadlines, lines => LogDropped(CreateLogger("Mirror"), lines));
        _newLogger = category => new LineLogger(category, everywhere, format, _sink, clock);
    }

    public ILogger CreateLogger(string categoryName) => _loggers.GetOrAdd(categoryName, _newLogger);

    public void Dispose() => _sink.Dispose();

    // An operator's key with a blank or a quote in it would break every line.
    private static string Key(string key) =>
        string.Concat(key.Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or '@' ? c : '_'));

    [LoggerMessage(Level = LogLevel.Warning, Message = "application log: {Lines} lines dropped, whoever reads stderr does not keep up")]
    private static partial void LogDropped(ILogger logger, long lines);
}
