namespace Mirror.Telemetry;

/// <summary>How old the copies are that clients get while upstream cannot be asked. Thread-safe.</summary>
public sealed class StaleMetrics
{
    // Longer than the usual scrape intervals, so that each scraper sees each answer.
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private long _began;
    private TimeSpan _oldest;
    private TimeSpan _oldestBefore;

    public StaleMetrics(MirrorMeter meter, TimeProvider time)
    {
        (_time, _began) = (time, time.GetTimestamp());
        meter.Meter.CreateObservableGauge(
            "mirror_stale_age_seconds", () => Oldest().TotalSeconds, "s",
            "Time since upstream confirmed the oldest tag that was served stale in the last minutes.");
    }

    /// <summary>Records the answer to a pull of a tag that could not be checked.</summary>
    /// <param name="age">The time since upstream last said what the tag names.</param>
    public void Served(TimeSpan age)
    {
        lock (_gate)
        {
            Advance();
            if (age > _oldest)
                _oldest = age;
        }
    }

    private TimeSpan Oldest()
    {
        lock (_gate)
        {
            Advance();
            return _oldest > _oldestBefore ? _oldest : _oldestBefore;
        }
    }

    // This window and the one before it: an answer is visible for one to two windows.
    private void Advance()
    {
        var passed = _time.GetElapsedTime(_began);
        if (passed < Window)
            return;
        (_oldestBefore, _oldest) = (passed < Window * 2 ? _oldest : TimeSpan.Zero, TimeSpan.Zero);
        _began = _time.GetTimestamp();
    }
}
