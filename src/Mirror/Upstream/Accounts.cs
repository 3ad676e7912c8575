using Mirror.Configuration;

namespace Mirror.Upstream;

/// <summary>
/// The accounts of one upstream. A limit that is reached pauses the account, not the mirror: the next one is used, and what is cached never
/// waits for any of them.
/// </summary>
public sealed class Accounts
{
    // Docker Hub does not document Retry-After: without one a limit is tried again after a minute.
    private static readonly TimeSpan DefaultPause = TimeSpan.FromMinutes(1);
    // A header is not to silence an account for days.
    private static readonly TimeSpan MaxPause = TimeSpan.FromHours(6);

    private readonly string _upstream;
    private readonly TimeProvider _time;
    private readonly Account[] _all;

    public Accounts(UpstreamOptions options, UpstreamOrigin origin, TimeProvider time)
    {
        _upstream = origin.Authority;
        _time = time;
        List<Func<CancellationToken, ValueTask<Credential?>>> credentials = [];
        if (options.Exec is { } exec)
            credentials.Add(new CredentialHelper(exec, options.RemoteUrl!, time).GetAsync);
        else if (options.Username is { Length: > 0 } username)
            credentials.Add(Fixed(new Credential(username, options.Password ?? "")));
        credentials.AddRange(options.Credentials.Select(account => Fixed(new Credential(account.Username, account.Password))));
        if (credentials.Count == 0)
            credentials.Add(Fixed(null));
        _all = [.. credentials.Select((credential, index) => new Account(index, credential))];
    }

    /// <summary>Whether so little is left of every account that work nobody waits for should not be done.</summary>
    public bool AreNearlySpent => Array.TrueForAll(_all, account => account.IsNearlySpent);

    /// <summary>The account to send a request with: of those that are not paused the one with most left.</summary>
    /// <param name="isPull">Whether the request counts as a pull.</param>
    /// <exception cref="UpstreamLimitedException">All are paused.</exception>
    public Account Choose(bool isPull)
    {
        var now = _time.GetUtcNow();
        Account? best = null;
        foreach (var account in _all)
            if (account.FreeFrom(isPull) <= now && (best is null || (account.Remaining ?? long.MaxValue) > (best.Remaining ?? long.MaxValue)))
                best = account;
        return best ?? throw new UpstreamLimitedException($"{_upstream} says that its limit is reached.", _all.Min(account => account.FreeFrom(isPull)) - now);
    }

    /// <summary>Upstream answered 429 to a request sent with this account. How long it is paused.</summary>
    public TimeSpan Pause(Account account, TimeSpan? retryAfter, bool pullsOnly)
    {
        var pause = retryAfter is { } asked && asked > TimeSpan.Zero ? asked < MaxPause ? asked : MaxPause : DefaultPause;
        account.Pause(_time.GetUtcNow() + pause, pullsOnly);
        return pause;
    }

    /// <summary>An account's login was refused: for a while the others do its work. False where there is none that could.</summary>
    public bool TryPutAside(Account account)
    {
        var now = _time.GetUtcNow();
        if (!Array.Exists(_all, other => other != account && other.FreeFrom(isPull: true) <= now))
            return false;
        account.Pause(now + DefaultPause, pullsOnly: false);
        return true;
    }

    private static Func<CancellationToken, ValueTask<Credential?>> Fixed(Credential? credential) => _ => ValueTask.FromResult(credential);
}
