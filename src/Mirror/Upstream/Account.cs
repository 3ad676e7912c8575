namespace Mirror.Upstream;

/// <summary>
/// One identity at an upstream, anonymous or with a credential, and what is known of its limits. Docker Hub counts pulls, which are GETs of
/// manifests, for each account; a second, stricter limit covers every request.
/// </summary>
/// <param name="index">Its place among the upstream's accounts: the label in metrics, since a user name is nobody's business.</param>
public sealed class Account(int index, Func<CancellationToken, ValueTask<Credential?>> credential)
{
    private readonly Lock _gate = new();
    private long? _limit;
    private long? _remaining;
    private DateTimeOffset _pullsFrom;
    private DateTimeOffset _requestsFrom;

    public int Index => index;

    /// <summary>The credential to use now; null means anonymous.</summary>
    /// <exception cref="UpstreamUnavailableException">A credential helper failed.</exception>
    public ValueTask<Credential?> CredentialAsync(CancellationToken cancellationToken) => credential(cancellationToken);

    /// <summary>How many pulls upstream says are left; null where it does not say, which on Docker Hub means no limit.</summary>
    public long? Remaining
    {
        get { lock (_gate) return _remaining; }
    }

    /// <summary>True where so little is left that only clients who wait may use it, not work in the background.</summary>
    public bool IsNearlySpent
    {
        get { lock (_gate) return _remaining is { } left && left <= Math.Max(5, (_limit ?? 0) / 20); }
    }

    /// <summary>Upstream reported the limit of pulls and what is left of it.</summary>
    public void Observe(long? limit, long? remaining)
    {
        lock (_gate)
            (_limit, _remaining) = (limit, remaining);
    }

    /// <summary>Upstream answered 429: no such request before <paramref name="until"/>.</summary>
    /// <param name="pullsOnly">Whether it was a pull that was refused: other requests are still answered then.</param>
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

    /// <summary>From when on a request may be sent.</summary>
    public DateTimeOffset FreeFrom(bool isPull)
    {
        lock (_gate)
            return isPull ? Later(_pullsFrom, _requestsFrom) : _requestsFrom;
    }

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;
}
