using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// The accounts of one upstream. When an account reaches its limit, only that account is paused, and another one is used. Cached content
/// needs none.
/// </summary>
public sealed class Accounts
{
    // For a 429 without Retry-After, which Docker Hub does not document.
    private static readonly TimeSpan DefaultPause = TimeSpan.FromMinutes(1);

    private readonly UpstreamOrigin _origin;
    private readonly TimeProvider _time;
    private readonly Account[] _all;

    public Accounts(UpstreamOptions options, UpstreamOrigin origin, TimeProvider time)
    {
        // Pauses end after the time that was told, also if the machine's date is set meanwhile.
        (_origin, _time) = (origin, new SteadyTime(time));
        List<Func<CancellationToken, ValueTask<Credential?>>> credentials = [];
        if (options.Exec is { } exec)
            credentials.Add(new CredentialHelper(exec, options.RemoteUrl!, time).GetAsync);
        else if (options.Username is { Length: > 0 } username)
            credentials.Add(Fixed(new Credential(username, options.Password ?? "")));
        credentials.AddRange(options.Credentials.Select(account => Fixed(new Credential(account.Username, account.Password))));
        HaveCredentials = credentials.Count > 0;
        if (!HaveCredentials)
            credentials.Add(Fixed(null));
        _all = [.. credentials.Select((credential, index) => new Account(index, credential))];
    }

    /// <summary>Whether requests are sent with a login.</summary>
    public bool HaveCredentials { get; }

    /// <summary>Whether so few pulls are left of every account that background work should leave them to clients that wait.</summary>
    public bool AreNearlySpent => Array.TrueForAll(_all, account => account.IsNearlySpent);

    /// <summary>The account to send a request with: of those that are not paused, the one with most pulls left.</summary>
    /// <param name="isPull">Whether the request counts as a pull.</param>
    /// <exception cref="UpstreamLimitedException">All accounts are paused.</exception>
    public Account Choose(bool isPull)
    {
        var now = _time.GetUtcNow();
        var best = _all.Where(account => account.FreeFrom(isPull) <= now).MaxBy(account => account.Remaining ?? long.MaxValue);
        return best ?? throw new UpstreamLimitedException(
            $"The limit of {_origin.Authority} is reached.", _all.Min(account => account.FreeFrom(isPull)) - now);
    }

    /// <summary>Pauses an account, because upstream answered 429 to a request sent with it.</summary>
    /// <param name="retryAfter">From <see cref="UpstreamRequest.RetryAfter"/>.</param>
    /// <returns>How long it is paused.</returns>
    public TimeSpan Pause(Account account, TimeSpan? retryAfter, bool pullsOnly)
    {
        var pause = retryAfter ?? DefaultPause;
        account.Pause(_time.GetUtcNow() + pause, pullsOnly);
        return pause;
    }

    /// <summary>Pauses an account whose login upstream refused; false if no other account can take its requests.</summary>
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
