using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>
/// Something that fails and works again: tells when a line of the log is due, at the beginning and at the end. What fails and works in turn
/// has one line a minute. Thread-safe.
/// </summary>
internal sealed class Outage(TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly RareLine _line = new(time);
    private long _began;
    private volatile bool _isTold;

    /// <summary>It failed. Whether this begins an outage that is to be told.</summary>
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

    /// <summary>It worked. How long the outage was that this ends; null where none was told.</summary>
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
