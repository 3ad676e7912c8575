using Mirror.Configuration;

namespace Mirror.Telemetry;

/// <summary>Makes <c>log.level</c> a setting that may change while the server runs.</summary>
internal static class LiveLogLevel
{
    // These frameworks log requests, and upstream requests with their URLs. Our own lines say the same better.
    private static readonly string[] Quiet = ["Microsoft", "System", "Polly", "Yarp"];

    /// <summary>Filters each line by the level in <see cref="LiveOptions"/>; a framework's lines must be warnings at least.</summary>
    public static ILoggingBuilder FilterByLiveLevel(this ILoggingBuilder logging)
    {
        logging.Services.AddOptions<LoggerFilterOptions>().Configure<LiveOptions>((filter, live) =>
        {
            bool IsWritten(LogLevel level) => level >= live.Current.Log.Level;
            filter.Rules.Add(new LoggerFilterRule(null, null, null, (_, _, level) => IsWritten(level)));
            foreach (var category in Quiet)
                filter.Rules.Add(new LoggerFilterRule(
                    null, category, null, (_, _, level) => level >= LogLevel.Warning && IsWritten(level)));
        });
        return logging;
    }
}
