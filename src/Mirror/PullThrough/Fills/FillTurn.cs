using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// The time during which one origin sends the bytes of a fill, and how fast they come. Only the time counts in which the fill waits for the
/// origin: a slow disk, or a download that gives way to others, does not make the origin slow.
/// </summary>
internal sealed class FillTurn : IDisposable
{
    /// <summary>Why a turn was ended, for the log.</summary>
    public const string Slow = "is slow", Silent = "sends nothing", Cut = "cuts its answers";

    // The pace is that of the last one to two of these.
    private static readonly TimeSpan Stretch = TimeSpan.FromSeconds(1);
    // Fewer bytes show how long the first byte takes, and not the pace.
    private const long MinBytes = 1 << 20;
    // Bytes that come together do not show the pace either.
    private const double MinSeconds = 0.1;
    // A server sends ten packets of 1460 bytes at once, before it waits for an answer. The headers are in them, too.
    private const long FirstPackets = 10 * 1024;

    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop;
    private readonly Lock _gate = new();
    private readonly bool _isFirst;
    private readonly LimitWaits _waits;
    private bool _hasWaited;
    private (long At, long Bytes)? _first;
    private (long At, long Bytes) _before;
    private (long At, long Bytes) _newest;
    private long _bytes;
    private long _lastAt;
    // When the pause began that the turn is in, and how long the earlier ones were in all.
    private long? _pausedAt;
    private long _paused;

    public FillTurn(FillOrigin origin, TimeProvider time, CancellationToken stop)
    {
        (Origin, _time, _stop) = (origin, time, CancellationTokenSource.CreateLinkedTokenSource(stop));
        _lastAt = Now;
        _waits = new LimitWaits(origin);
        _isFirst = ++origin.Turns == 1;
    }

    public FillOrigin Origin { get; }

    /// <summary>Is cancelled when the turn is over, or when the fill has to stop.</summary>
    public CancellationToken Stop => _stop.Token;

    /// <summary>Why the turn was ended for another origin; null if it was not.</summary>
    public string? Fault { get; private set; }

    /// <summary>Whether the turn was ended for another origin.</summary>
    public bool IsOver => Fault is not null;

    /// <summary>How many bytes came.</summary>
    public long Bytes { get { lock (_gate) return _bytes; } }

    /// <summary>Whether the origin was asked for the bytes: a turn may also take them from the store or from another replica.</summary>
    public bool HasAsked { get; set; }

    /// <summary>Whether more bytes came than a server sends at once.</summary>
    public bool HasBegun => Bytes >= FirstPackets;

    /// <summary>Whether the origin is clearly slow: what others send at once has not come some time after its first byte.</summary>
    public bool IsTrickle
    {
        get
        {
            lock (_gate)
                return _first is { } first && _bytes < FirstPackets && _time.GetElapsedTime(first.At, Now).TotalSeconds >= MinSeconds;
        }
    }

    /// <summary>Whether at least so many bytes a second have come since the first one.</summary>
    public bool KeepsUpWith(long pace)
    {
        lock (_gate)
            return _first is { } first && PaceSince((first.At, 0), Now) >= pace;
    }

    // By the turn's own clock, which stands still during a pause.
    private long Now => (_pausedAt ?? _time.GetTimestamp()) - _paused;

    /// <summary>The fill does something else than to wait for the origin.</summary>
    public void Pause()
    {
        lock (_gate)
            _pausedAt ??= _time.GetTimestamp();
    }

    /// <summary>The fill waits for the origin again.</summary>
    public void Resume()
    {
        lock (_gate)
        {
            if (_pausedAt is { } at)
                _paused += _time.GetTimestamp() - at;
            _pausedAt = null;
        }
    }

    /// <summary>Counts bytes that came.</summary>
    public void Received(int bytes)
    {
        lock (_gate)
        {
            _bytes += bytes;
            _lastAt = Now;
            // The time until the first bytes is no part of the pace.
            if (_first is null)
                _first = _before = _newest = (_lastAt, _bytes);
            else if (_time.GetElapsedTime(_newest.At, _lastAt) >= Stretch)
                (_before, _newest) = (_newest, (_lastAt, _bytes));
        }
    }

    /// <summary>How many bytes a second arrive now: 0 if none came for a while, null if it is too early to say.</summary>
    /// <param name="patience">How long an origin may send nothing. After its first byte it may be slow for twice as long.</param>
    public long? Pace(TimeSpan patience)
    {
        lock (_gate)
        {
            var now = Now;
            if (_time.GetElapsedTime(_lastAt, now) >= patience)
                return 0;
            if (_first is { } first && _time.GetElapsedTime(first.At, now) >= 2 * patience)
                return Math.Max(1, PaceSince(_before, now));
            // An origin that gets a second turn may have become faster.
            return _isFirst ? Origin.KnownPace : null;
        }
    }

    /// <summary>
    /// Receives the bytes. If upstream says "later" (429) meanwhile, waits and receives again.
    /// </summary>
    /// <param name="isNeeded">Whether clients cannot do without this turn: they have got bytes, and no other origin can go on.</param>
    public async Task<T> ReceiveAsync<T>(Func<Task<T>> receive, Func<bool> isNeeded)
    {
        while (true)
            try
            {
                return await receive();
            }
            catch (UpstreamLimitedException limited) when (isNeeded())
            {
                _hasWaited = true;
                if (!await _waits.WaitAsync(limited, Bytes, Stop))
                    throw;
            }
    }

    /// <summary>Cancels <see cref="Stop"/>, on another thread, because of a fault. Not after <see cref="Dispose"/>.</summary>
    public void End(string fault)
    {
        Fault = fault;
        _stop.CancelAfter(TimeSpan.Zero);
    }

    /// <summary>Remembers the pace for the next downloads from the repository.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            // A turn without a byte shows nothing about the pace.
            if (_first is { } first && (IsOver || _bytes >= MinBytes))
                Origin.Source.Remember(Origin.Name, Fault switch
                {
                    // The waits for upstream's limit would count as slowness.
                    _ when _hasWaited => null,
                    Slow => PaceSince(_before, Now),
                    Cut => null,
                    _ => PaceSince((first.At, 0), Now),
                });
        }
        _stop.Dispose();
    }

    private long PaceSince((long At, long Bytes) mark, long now) =>
        (long)((_bytes - mark.Bytes) / Math.Max(_time.GetElapsedTime(mark.At, now).TotalSeconds, MinSeconds));
}
