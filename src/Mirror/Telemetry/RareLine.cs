namespace Mirror.Telemetry;

/// <summary>A line of the log that is written once a minute at most, however often there is a reason. Thread-safe.</summary>
public sealed class RareLine(TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private long? _last;

    /// <summary>Whether to write it now.</summary>
    public bool IsDue()
    {
        lock (_gate)
        {
            if (_last is { } last && time.GetElapsedTime(last) < Interval)
                return false;
            _last = time.GetTimestamp();
            return true;
        }
    }
}
