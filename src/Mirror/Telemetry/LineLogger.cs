using System.Text.Json;

namespace Mirror.Telemetry;

/// <summary>Turns one category's events into lines. Levels are filtered before it, by the logger factory.</summary>
/// <param name="everywhere">Fields of every line; an event's own field of the same key takes their place.</param>
internal sealed class LineLogger(
    string category, KeyValuePair<string, object>[] everywhere, ILineFormat format, LineSink sink, TimeProvider clock) : ILogger
{
    [ThreadStatic]
    private static Scratch? _spare;

    // Ours speak for themselves; the framework's need their origin beside them.
    private readonly string? _source = category.StartsWith("Mirror", StringComparison.Ordinal) ? null : category;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel is not LogLevel.None;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        // Taken, not borrowed: a value whose ToString logs must not write into this line.
        var scratch = _spare ?? new Scratch();
        _spare = null;
        scratch.Clear();
        if (state is IReadOnlyList<KeyValuePair<string, object?>> list)
            for (var i = 0; i < list.Count; i++)
                scratch.Add(Key(list[i].Key), list[i].Value);
        scratch.Add("error", exception is null ? null : Tell(exception, logLevel));
        scratch.Add("source", _source);
        foreach (var (key, value) in everywhere)
            scratch.Add(key, value);

        format.Write(new(clock.GetUtcNow().UtcDateTime, Label(logLevel), formatter(state, exception), scratch.Fields), scratch.Line);
        scratch.Line.Append((byte)'\n');
        sink.Write(scratch.Line.Written);
        _spare = scratch;
    }

    // {Digest} in a message template is digest= in a line, as logrus' users write it.
    private static string Key(string name) =>
        name.Length > 0 && char.IsAsciiLetterUpper(name[0]) ? JsonNamingPolicy.CamelCase.ConvertName(name) : name;

    // An error is our bug and wants its stack; below that the chain of messages says what happened.
    private static string Tell(Exception exception, LogLevel level)
    {
        if (level >= LogLevel.Error)
            return exception.ToString();
        var told = $"{exception.GetType().Name}: {exception.Message}";
        for (var inner = exception.InnerException; inner is not null; inner = inner.InnerException)
            told += $" <- {inner.GetType().Name}: {inner.Message}";
        return told;
    }

    // logrus' words.
    private static string Label(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warning",
        LogLevel.Error => "error",
        _ => "fatal",
    };

    private sealed class Scratch
    {
        public Utf8Buffer Line { get; } = new();
        public List<KeyValuePair<string, object>> Fields { get; } = [];

        public void Clear()
        {
            Line.Clear();
            Fields.Clear();
        }

        /// <summary>Adds a field that has a value and a key not yet taken.</summary>
        public void Add(string key, object? value)
        {
            if (value is null or "" || key is "{OriginalFormat}")
                return;
            foreach (var field in Fields)
                if (field.Key == key)
                    return;
            Fields.Add(KeyValuePair.Create(key, value));
        }
    }
}
