using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>
/// The failures of one thing, such as an upstream. Decides when the log gets a line: at the beginning of an outage and at its end. If the
/// thing fails and works in turn, the log gets one line a minute. Thread-safe.
/// </summary>
internal sealed class Outage(TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly RareLine _line = new(time);
    private long _began;
    private volatile bool _isTold;

    /// <summary>Notes a failure. Returns whether an outage begins that the log should report.</summary>
    public bool Begin()
    {
        lock (_gate)
        {
            if (_isTold || !_line.IsDue())
                return false;
            (_isTold, _began) = (true, time.GetTimestamp());
            return true;
        }
    }

    /// <summary>Notes a success. Returns the length of the outage that it ends; null if the log has not reported one.</summary>
    public TimeSpan? End()
    {
        if (!_isTold)
            return null;
        lock (_gate)
        {
            if (!_isTold)
                return null;
            _isTold = false;
            return time.GetElapsedTime(_began);
        }
    }
}
