namespace Mirror.Upstream;

/// <summary>
/// One account at an upstream, or the anonymous one, and what is known of its limits. Docker Hub counts pulls, which are GETs of manifests,
/// for each account. A second, stricter limit covers all requests.
/// </summary>
/// <param name="index">Its number among the upstream's accounts. Metrics have it as a label, because they must not show user names.</param>
public sealed class Account(int index, Func<CancellationToken, ValueTask<Credential?>> credential, TimeProvider time)
{
    private readonly Lock _gate = new();
    private long? _limit;
    private long? _remaining;
    private DateTimeOffset _pullsFrom;
    private DateTimeOffset _requestsFrom;
    private DateTimeOffset _refusedUntil;
    private TimeSpan _lastPause;
    private DateTimeOffset? _renewedBy;

    /// <summary>The number of an account that belongs to a client and not to the mirror.</summary>
    public const int OfClient = -1;

    public int Index => index;

    /// <summary>Whether it is the login of a client, or a client without one. No metric and no other replica learns of it.</summary>
    public bool IsOfClient => index == OfClient;

    /// <summary>If it comes from a credential helper that is never asked again, what the operator can do about passwords that expire; else
    /// null.</summary>
    public string? HelperAdvice { get; init; }

    /// <summary>What the operator can do if upstream refuses its login.</summary>
    public string LoginAdvice => HelperAdvice ?? "correct its username and password in section proxy";

    /// <summary>The credential to use now; null means anonymous.</summary>
    /// <exception cref="UpstreamUnavailableException">A credential helper failed.</exception>
    public ValueTask<Credential?> CredentialAsync(CancellationToken cancellationToken) => credential(cancellationToken);

    /// <summary>The remaining pulls that upstream reported; null if it reported none, which on Docker Hub means no limit. Null also after
    /// the end of the window that it reported: then all pulls are allowed again.</summary>
    public long? Remaining
    {
        get { lock (_gate) return Left; }
    }

    /// <summary>How many pulls upstream allows in its window; null if it reported none.</summary>
    public long? Limit
    {
        get { lock (_gate) return _limit; }
    }

    /// <summary>
    /// The latest time at which all pulls are allowed again, if no pull is made until then. Null if all are allowed now, or if upstream did
    /// not tell its window.
    /// </summary>
    public DateTimeOffset? RenewedBy
    {
        get { lock (_gate) return Left < _limit ? _renewedBy : null; }
    }

    /// <summary>Whether so few pulls are left that background work should leave them to clients that wait.</summary>
    public bool HasFewPullsLeft
    {
        get { lock (_gate) return Left is { } left && left <= Math.Max(5, (_limit ?? 0) / 20); }
    }

    /// <summary>Whether more than half of the pulls are left, as far as upstream told: enough for work that no client waits
    /// for.</summary>
    public bool HasManyPullsLeft
    {
        get { lock (_gate) return Left is not { } left || left > (_limit ?? 0) / 2 && left > 10; }
    }

    /// <summary>Remembers how many pulls upstream allows, how many are left, and when the window that begins now ends.</summary>
    public void Observe(long? limit, long? remaining, DateTimeOffset? renewedBy)
    {
        lock (_gate)
            (_limit, _remaining, _renewedBy) = (limit, remaining, renewedBy);
    }

    /// <summary>
    /// How long to pause after a 429 without a time and without a limit: a second at first, then twice the last pause, until a request gets
    /// another answer. Several 429s for requests that were sent together count as one.
    /// </summary>
    public TimeSpan NextPause(DateTimeOffset now, bool isPull, TimeSpan max)
    {
        lock (_gate)
        {
            var from = isPull ? Later(_pullsFrom, _requestsFrom) : _requestsFrom;
            if (from > now)
                return from - now;
            var doubled = TimeSpan.FromTicks(Math.Min(2 * _lastPause.Ticks, max.Ticks));
            return _lastPause = doubled > TimeSpan.Zero ? doubled : TimeSpan.FromSeconds(1);
        }
    }

    /// <summary>Notes that a request got another answer than 429.</summary>
    public void Answered()
    {
        lock (_gate)
            _lastPause = TimeSpan.Zero;
    }

    /// <summary>Pauses the account until a time, because upstream answered 429.</summary>
    /// <param name="pullsOnly">Whether upstream refused a pull. Other requests are not paused then.</param>
    public void Pause(DateTimeOffset until, bool pullsOnly)
    {
        lock (_gate)
        {
            if (pullsOnly)
                _pullsFrom = Later(_pullsFrom, until);
            else
                _requestsFrom = Later(_requestsFrom, until);
        }
    }

    /// <summary>Pauses the account until a time, because upstream refused its login.</summary>
    public void PauseRefused(DateTimeOffset until)
    {
        lock (_gate)
            (_refusedUntil, _requestsFrom) = (until, Later(_requestsFrom, until));
    }

    /// <summary>Whether the account is paused because upstream refused its login.</summary>
    public bool IsRefused(DateTimeOffset now)
    {
        lock (_gate)
            return _refusedUntil > now;
    }

    /// <summary>The time from which a request may be sent.</summary>
    public DateTimeOffset FreeFrom(bool isPull)
    {
        lock (_gate)
            return isPull ? Later(_pullsFrom, _requestsFrom) : _requestsFrom;
    }

    // Used while the gate is held.
    private long? Left => _renewedBy <= time.GetUtcNow() ? null : _remaining;

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;
}
