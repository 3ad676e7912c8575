namespace Mirror.PullThrough.Fills;

/// <summary>The time during which one origin sends the bytes of a fill, and how fast they come.</summary>
internal sealed class FillTurn : IDisposable
{
    // The pace is that of the last one to two of these.
    private static readonly TimeSpan Stretch = TimeSpan.FromSeconds(1);
    // Fewer bytes show how long the first byte takes, and not the pace.
    private const long MinBytes = 1 << 20;

    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop;
    private readonly Lock _gate = new();
    private readonly long _began;
    private (long At, long Bytes) _before;
    private (long At, long Bytes) _newest;
    private long _bytes;
    private long _lastAt;

    public FillTurn(FillOrigin origin, TimeProvider time, CancellationToken stop)
    {
        (Origin, _time, _stop) = (origin, time, CancellationTokenSource.CreateLinkedTokenSource(stop));
        _began = _lastAt = time.GetTimestamp();
        _before = _newest = (_began, 0);
    }

    public FillOrigin Origin { get; }

    /// <summary>Is cancelled when the turn is over, or when the fill has to stop.</summary>
    public CancellationToken Stop => _stop.Token;

    /// <summary>Whether the turn was ended for a faster origin.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Counts bytes that came.</summary>
    public void Received(int bytes)
    {
        lock (_gate)
        {
            _bytes += bytes;
            _lastAt = _time.GetTimestamp();
            if (_time.GetElapsedTime(_newest.At, _lastAt) >= Stretch)
                (_before, _newest) = (_newest, (_lastAt, _bytes));
        }
    }

    /// <summary>How many bytes a second arrive now; null if it is too early to say.</summary>
    /// <param name="grace">How long an origin may send nothing.</param>
    public long? Pace(TimeSpan grace)
    {
        lock (_gate)
        {
            var now = _time.GetTimestamp();
            if (_time.GetElapsedTime(_began, now) < grace)
                return Origin.Source.KnownPace;
            return _time.GetElapsedTime(_lastAt, now) >= grace ? 0 : PaceSince(_before, now);
        }
    }

    /// <summary>Cancels <see cref="Stop"/>, on another thread, because another origin is faster. Not after <see cref="Dispose"/>.</summary>
    public void End()
    {
        IsOver = true;
        _stop.CancelAfter(TimeSpan.Zero);
    }

    /// <summary>Remembers the pace for the upstream's next downloads.</summary>
    public void Dispose()
    {
        lock (_gate)
            if (IsOver || _bytes >= MinBytes)
                Origin.Source.Remember(PaceSince(IsOver ? _before : (_began, 0), _time.GetTimestamp()));
        _stop.Dispose();
    }

    private long PaceSince((long At, long Bytes) mark, long now) =>
        (long)((_bytes - mark.Bytes) / Math.Max(_time.GetElapsedTime(mark.At, now).TotalSeconds, 1e-3));
}
