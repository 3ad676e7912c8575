using System.Globalization;

namespace Mirror.Configuration.Reading;

/// <summary>The rules for values that are times. The table of known keys uses them by name.</summary>
internal static class DurationRules
{
    public static readonly ValueRule Duration = Durations(
        "a duration such as 10m, 1h30m or 500ms, or whole seconds, and not negative", min: TimeSpan.Zero);

    // Of keys without effect: to Go's library for Redis, -1 means no limit.
    public static readonly ValueRule AnyDuration = Durations(
        "a duration such as 10m, 1h30m or 500ms, or whole seconds", min: TimeSpan.MinValue);

    // As in that library. The binder gets a time that is longer than each that is used.
    public static readonly ValueRule TimeOrNoLimit = new(
        "a duration such as 200ms or 1s, or -1 for no limit",
        text => Duration.Canonical(text.StartsWith('-') && AnyDuration.Canonical(text) is not null ? "24h" : text));

    public static readonly ValueRule Days = Durations(
        "a duration such as 72h or 10m, or days such as 30d, 36500d at most", min: TimeSpan.Zero,
        max: TimeSpan.FromDays(GoDuration.MaxDays));

    public static readonly ValueRule KeepTime = new(
        "never, forever, a duration such as 72h, or days such as 30d",
        text => text switch
        {
            "never" => Days.Canonical("0d"),
            "forever" => Days.Canonical($"{GoDuration.MaxDays}d"),
            _ => Days.Canonical(text),
        });

    // As in registry:3, nothing ends by its age if the time is negative.
    public static readonly ValueRule KeepTimeOrForEver = KeepTime with
    {
        Canonical = text => KeepTime.Canonical(text.StartsWith('-') && AnyDuration.Canonical(text) is not null ? "never" : text),
    };

    public static readonly ValueRule LongerThanZero = Durations(
        "a duration such as 10m, 1h30m or 500ms, or whole seconds, longer than zero", min: TimeSpan.FromTicks(1));

    public static readonly ValueRule Interval = Durations(
        "a duration such as 10m or 24h, of a second or more", min: TimeSpan.FromSeconds(1));

    public static readonly ValueRule UpToADay = Durations(
        "a duration such as 500ms or 10s, 24h at most", min: TimeSpan.Zero, max: TimeSpan.FromDays(1));

    public static readonly ValueRule IdleTime = Durations(
        "a duration such as 15m or 1h, longer than zero, 24h at most", min: TimeSpan.FromTicks(1), max: TimeSpan.FromDays(1));

    public static readonly ValueRule AttemptTimeout = Durations(
        "a duration from 10ms to 24h, such as 500ms or 1s", min: TimeSpan.FromMilliseconds(10), max: TimeSpan.FromDays(1));

    public static readonly ValueRule AttemptTimeoutOrDefault = new(
        "a duration from 10ms to 24h, such as 500ms or 1s, or 0 for the default",
        text => GoDuration.TryParse(text, out var duration) && duration == TimeSpan.Zero
            ? Duration.Canonical("0")
            : AttemptTimeout.Canonical(text));

    private static ValueRule Durations(string allowed, TimeSpan min, TimeSpan? max = null) => new(
        allowed,
        text => GoDuration.TryParseOrDays(text, out var duration) && duration >= min && duration <= (max ?? TimeSpan.MaxValue)
            ? duration.ToString("c", CultureInfo.InvariantCulture)
            : null);
}
