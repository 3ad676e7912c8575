using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Mirror.Telemetry;

/// <summary>
/// Writes each event of the application log as exactly one line, whatever its strings hold: no line break, no control character, and
/// nothing that a reader could take for another field.
/// </summary>
/// <param name="fixedFields">Fields of every line (<c>log.fields</c>). An event's own field of the same key takes their place.</param>
/// <param name="reportsCaller">Whether each line has the field <c>func</c> (<c>log.reportcaller</c>).</param>
internal abstract class LogLineFormatter(
    IEnumerable<KeyValuePair<string, object>> fixedFields, bool reportsCaller, TimeProvider time)
    : ConsoleFormatter(FormatterName)
{
    /// <summary>The name by which the console logger finds its formatter.</summary>
    public const string FormatterName = "mirror";

    private readonly LogLineFields _fields = new(fixedFields, reportsCaller);

    public sealed override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var fields = _fields.Of(logEntry);
        var message = logEntry.Formatter(logEntry.State, logEntry.Exception);
        // Not into the writer at once: it is the thread's own, and a value whose ToString logs would write into this line.
        var line = new StringBuilder(512);
        Format(line, time.GetUtcNow().UtcDateTime, LogLineFields.LevelName(logEntry.LogLevel), message, fields);
        textWriter.Write(line.Append('\n'));
    }

    /// <summary>Appends the line, without its end.</summary>
    /// <param name="fields">In the order in which they are written; no two have the same key.</param>
    protected abstract void Format(
        StringBuilder line, DateTime utc, string level, string message, List<KeyValuePair<string, object>> fields);
}
