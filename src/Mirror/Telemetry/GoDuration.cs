using System.Globalization;

namespace Mirror.Telemetry;

/// <summary>A duration as Go prints it, <c>1.5ms</c> or <c>2m0.25s</c>, which is what reads registry:2's logs expects.</summary>
internal static class GoDuration
{
    public static string Of(TimeSpan duration)
    {
        var ticks = Math.Max(duration.Ticks, 0);
        return ticks switch
        {
            0 => "0s",
            < TimeSpan.TicksPerMicrosecond => Text(ticks * 100m, "ns"),
            < TimeSpan.TicksPerMillisecond => Text((decimal)ticks / TimeSpan.TicksPerMicrosecond, "µs"),
            < TimeSpan.TicksPerSecond => Text((decimal)ticks / TimeSpan.TicksPerMillisecond, "ms"),
            < TimeSpan.TicksPerMinute => Text((decimal)ticks / TimeSpan.TicksPerSecond, "s"),
            < TimeSpan.TicksPerHour => $"{ticks / TimeSpan.TicksPerMinute}m{Seconds(ticks)}",
            _ => $"{ticks / TimeSpan.TicksPerHour}h{ticks / TimeSpan.TicksPerMinute % 60}m{Seconds(ticks)}",
        };
    }

    private static string Seconds(long ticks) => Text((decimal)(ticks % TimeSpan.TicksPerMinute) / TimeSpan.TicksPerSecond, "s");

    private static string Text(decimal number, string unit) => number.ToString("0.#######", CultureInfo.InvariantCulture) + unit;
}
