using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mirror.Telemetry;

/// <summary>The fields of a line of the application log: those of the event, and the operator's own.</summary>
/// <param name="fixedFields">Fields of every line (<c>log.fields</c>). An event's own field of the same key takes their place.</param>
/// <param name="reportsCaller">Whether each line has the field <c>func</c> (<c>log.reportcaller</c>).</param>
internal sealed class LogLineFields(IEnumerable<KeyValuePair<string, object>> fixedFields, bool reportsCaller)
{
    // The key of the message template, which is no field.
    private const string Template = "{OriginalFormat}";

    private readonly KeyValuePair<string, object>[] _fixedFields =
        [.. fixedFields.Select(field => KeyValuePair.Create(SafeKey(field.Key), field.Value))];

    /// <summary>The fields in the order in which they are written; no two have the same key.</summary>
    public List<KeyValuePair<string, object>> Of<TState>(in LogEntry<TState> logEntry)
    {
        List<KeyValuePair<string, object>> fields = [];
        if (logEntry.State is IReadOnlyList<KeyValuePair<string, object?>> state)
        {
            // A method with a LoggerMessage attribute lists the fields of its message from the last to the first.
            var isReversed = logEntry.State is LoggerMessageState;
            for (var i = 0; i < state.Count; i++)
            {
                var (key, value) = state[isReversed ? state.Count - 1 - i : i];
                Add(fields, FieldKey(key), value);
            }
        }
        Add(fields, "error", logEntry.Exception is { } exception ? Describe(exception, logEntry.LogLevel) : null);
        if (reportsCaller)
            Add(fields, "func", logEntry.EventId.Name is { } method ? $"{logEntry.Category}.{method}" : logEntry.Category);
        // Our own events explain themselves; the framework's need their category.
        Add(fields, "source", logEntry.Category.StartsWith("Mirror", StringComparison.Ordinal) ? null : logEntry.Category);
        // Of a request that a client traces, or that is exported.
        if (Activity.Current is { } activity && (activity.Recorded || activity.ParentSpanId != default))
            Add(fields, "trace.id", activity.TraceId.ToHexString());
        foreach (var (key, value) in _fixedFields)
            Add(fields, key, value);
        return fields;
    }

    /// <summary>logrus' word for a level.</summary>
    public static string LevelName(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warning",
        LogLevel.Error => "error",
        _ => "fatal",
    };

    // Adds a field that has a value, unless its key is taken.
    private static void Add(List<KeyValuePair<string, object>> fields, string key, object? value)
    {
        if (value is null or "" || key is Template)
            return;
        foreach (var field in fields)
            if (field.Key == key)
                return;
        fields.Add(KeyValuePair.Create(key, value));
    }

    // {Digest} in a message template is the field digest, as logrus' users write it.
    private static string FieldKey(string name) =>
        name.Length > 0 && char.IsAsciiLetterUpper(name[0]) ? JsonNamingPolicy.CamelCase.ConvertName(name) : name;

    // A blank or a quote in an operator's key would break every line.
    private static string SafeKey(string key) =>
        string.Concat(key.Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or '@' ? c : '_'));

    // An error is our bug and needs its stack. Below that, the chain of messages says what happened.
    private static string Describe(Exception exception, LogLevel level)
    {
        if (level >= LogLevel.Error)
            return exception.ToString();
        var text = $"{exception.GetType().Name}: {exception.Message}";
        for (var inner = exception.InnerException; inner is not null; inner = inner.InnerException)
            text += $" <- {inner.GetType().Name}: {inner.Message}";
        return text;
    }
}
