using System.Runtime.InteropServices;

namespace Mirror.Hosting;

/// <summary>
/// The signals SIGUSR1 and SIGUSR2, with which other servers open their log files again or change the level of their logs. They have no
/// meaning for this one, and must not end it: by default each of them ends a process at once.
/// </summary>
internal static partial class UserSignals
{
    private static readonly List<PosixSignalRegistration> Caught = [];
    private static ILogger? _log;

    // The numbers differ between systems, and .NET has no names for these two.
    private static IEnumerable<(string Name, int Number)> All => OperatingSystem.IsLinux() ? [("SIGUSR1", 10), ("SIGUSR2", 12)]
        : OperatingSystem.IsMacOS() ? [("SIGUSR1", 30), ("SIGUSR2", 31)]
        : [];

    /// <summary>From now on the signals do not end the process.</summary>
    public static void Catch()
    {
        foreach (var (name, number) in All)
            Caught.Add(PosixSignalRegistration.Create((PosixSignal)number, signal =>
            {
                signal.Cancel = true;
                if (Volatile.Read(ref _log) is { } log)
                    LogNoEffect(log, name);
            }));
    }

    /// <summary>From now on each signal leaves a line in the log.</summary>
    public static void Report(ILogger log) => Volatile.Write(ref _log, log);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "the signal {Signal} has no effect: to have the configuration read again, send SIGHUP; to stop the server, send SIGTERM")]
    private static partial void LogNoEffect(ILogger logger, string signal);
}
