using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Mirror.Configuration;

/// <summary>
/// Durations as Go writes them (<c>10m</c>, <c>1h30m</c>, <c>1.5h</c>, <c>500ms</c>), or as whole seconds (<c>600</c>).
/// The precision is 100 nanoseconds; the rest is cut off.
/// </summary>
public static partial class GoDuration
{
    /// <summary>The largest number of days that <see cref="TryParseOrDays"/> reads.</summary>
    public const int MaxDays = 36_500;

    /// <summary>Reads a duration, which may be negative.</summary>
    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = default;
        var match = Grammar().Match(text);
        if (!match.Success)
            return false;

        var units = match.Groups["unit"].Captures;
        var ticks = 0m;
        foreach (var (i, number) in match.Groups["number"].Captures.Index())
        {
            if (!decimal.TryParse(number.Value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
                || value > long.MaxValue)
                return false;
            // The product of the largest number and the longest unit would be too large for a decimal.
            var unit = Ticks(units.Count > 0 ? units[i].Value : "s");
            if (value > long.MaxValue / unit)
                return false;
            ticks += value * unit;
        }
        if (ticks > long.MaxValue)
            return false;

        duration = TimeSpan.FromTicks((long)ticks);
        if (text[0] == '-')
            duration = -duration;
        return true;
    }

    /// <summary>Reads a duration as <see cref="TryParse"/> does, or whole days such as <c>30d</c>, which Go does not have.</summary>
    public static bool TryParseOrDays(string text, out TimeSpan duration)
    {
        if (!text.EndsWith('d'))
            return TryParse(text, out duration);
        var isDays = int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var days) && days <= MaxDays;
        duration = isDays ? TimeSpan.FromDays(days) : default;
        return isDays;
    }

    /// <summary>The shortest text that <see cref="TryParse"/> reads as this duration: <c>1h30m</c>, <c>500ms</c>, <c>0s</c>.</summary>
    public static string Format(TimeSpan duration)
    {
        if (duration == TimeSpan.Zero)
            return "0s";

        var text = new StringBuilder(duration < TimeSpan.Zero ? "-" : "");
        // A decimal: the negation of TimeSpan.MinValue is not a TimeSpan.
        var rest = Math.Abs((decimal)duration.Ticks);
        string[] units = rest < TimeSpan.TicksPerSecond ? ["ms"] : ["h", "m", "s"];
        foreach (var unit in units)
        {
            var size = Ticks(unit);
            var count = unit == units[^1] ? rest / size : Math.Floor(rest / size);
            if (count > 0)
                text.Append(CultureInfo.InvariantCulture, $"{count:0.#######}{unit}");
            rest -= count * size;
        }
        return text.ToString();
    }

    private static decimal Ticks(string unit) => unit switch
    {
        "ns" => 0.01m,
        "ms" => TimeSpan.TicksPerMillisecond,
        "s" => TimeSpan.TicksPerSecond,
        "m" => TimeSpan.TicksPerMinute,
        "h" => TimeSpan.TicksPerHour,
        _ => TimeSpan.TicksPerMicrosecond,
    };

    // Microseconds are written with u, the micro sign or the Greek letter mu.
    [GeneratedRegex(
        @"\A[-+]?(?:(?<number>[0-9]+)|(?:(?<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?<unit>ns|us|\u00B5s|\u03BCs|ms|s|m|h))+)\z",
        RegexOptions.CultureInvariant)]
    private static partial Regex Grammar();
}
