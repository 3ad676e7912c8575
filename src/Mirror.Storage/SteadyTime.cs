namespace Mirror.Storage;

/// <summary>
/// A clock for pauses and lifetimes: its date advances with the monotonic clock, also if the date of the machine is set. With another
/// clock, a machine whose date is set back by a month would wait a month for a pause of a second. Dates of two such clocks are not
/// comparable.
/// </summary>
public sealed class SteadyTime(TimeProvider time) : TimeProvider
{
    private readonly DateTimeOffset _began = time.GetUtcNow();
    private readonly long _timestamp = time.GetTimestamp();

    public override long TimestampFrequency => time.TimestampFrequency;

    public override TimeZoneInfo LocalTimeZone => time.LocalTimeZone;

    public override DateTimeOffset GetUtcNow() => _began + time.GetElapsedTime(_timestamp);

    public override long GetTimestamp() => time.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        time.CreateTimer(callback, state, dueTime, period);
}
