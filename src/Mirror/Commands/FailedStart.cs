using Microsoft.Extensions.Logging.Abstractions;
using Mirror.Configuration;
using Mirror.Telemetry;

namespace Mirror.Commands;

/// <summary>
/// Writes why the server does not start. The server's log does not run yet, or no more. If its lines are JSON, these are too: what collects
/// such a log cannot read other lines.
/// </summary>
/// <param name="log">Section <c>log</c> of the configuration that was read, also where it has mistakes.</param>
internal sealed class FailedStart(LogOptions log, TextWriter error)
{
    /// <summary>Writes what prevents the start.</summary>
    public void Error(string message) => Write(LogLevel.Critical, "error", message);

    /// <summary>Writes what does not prevent it, and may be related.</summary>
    public void Warning(string message) => Write(LogLevel.Warning, "warning", message);

    private void Write(LogLevel level, string word, string message)
    {
        if (log.Formatter is LogFormatter.Text)
            error.WriteLine($"{word}: {message}");
        else
            TelemetryRegistration.NewFormatter(log, TimeProvider.System).Write(
                new LogEntry<string>(level, typeof(FailedStart).FullName!, default, message, null, static (text, _) => text), null, error);
    }
}
