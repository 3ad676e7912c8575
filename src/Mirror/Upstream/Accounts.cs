using System.Collections.Concurrent;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// The accounts of one upstream. When an account reaches its limit, the mirror pauses this account and uses another one. It needs no
/// account to serve cached content.
/// </summary>
public sealed class Accounts
{
    // The pause of an account whose login is refused, and the pause after a 429 that tells the limit but not how long to wait.
    private static readonly TimeSpan DefaultPause = TimeSpan.FromMinutes(1);

    // A limit, because clients choose the repositories.
    private const int MaxReaders = 10_000;

    private readonly UpstreamOrigin _origin;
    private readonly TimeProvider _time;
    private UpstreamOptions _options;
    private Account[] _all;
    // The account that could read a repository while another one could not.
    private readonly ConcurrentDictionary<RepositoryName, Account> _readers = new();

    public Accounts(
        UpstreamOptions options, UpstreamOrigin origin, LiveOptions live, TimeProvider time, ILogger<CredentialHelper>? log = null)
    {
        // This clock ignores changes of the machine's date, so a pause lasts exactly as long as it should.
        (_origin, _time, _options) = (origin, new SteadyTime(time), options);
        _all = AccountsOf(options, time, log);
        HaveCredentials = LoginsOf(options).Any();
        live.Changed += () =>
        {
            var now = live.Current.Proxy.AllUpstreams().FirstOrDefault(upstream => upstream.PathName == origin.Name).Options;
            if (now is null || LoginsOf(now).SequenceEqual(LoginsOf(_options)))
                return;
            _options = now;
            HaveCredentials = LoginsOf(now).Any();
            Volatile.Write(ref _all, AccountsOf(now, time, log));
        };
    }

    /// <summary>The accounts in the order of the settings.</summary>
    public IReadOnlyList<Account> All => Volatile.Read(ref _all);

    /// <summary>Whether requests are sent with a login.</summary>
    public bool HaveCredentials { get; private set; }

    /// <inheritdoc cref="Account.HelperAdvice"/>
    public string? HelperAdvice => Array.Find(Volatile.Read(ref _all), account => account.HelperAdvice is not null)?.HelperAdvice;

    /// <summary>Whether every account has so few pulls left that waiting clients should get them, and background work should
    /// stop.</summary>
    public bool HaveFewPullsLeft => Array.TrueForAll(Volatile.Read(ref _all), account => account.HasFewPullsLeft);

    /// <summary>Whether at least one account has many pulls left: see <see cref="Account.HasManyPullsLeft"/>.</summary>
    public bool HaveManyPullsLeft => Array.Exists(Volatile.Read(ref _all), account => account.HasManyPullsLeft);

    /// <summary>The account to send a request with: of those that are not paused, the one that alone could read the repository lately, or
    /// else the one with most pulls left.</summary>
    /// <param name="isPull">Whether the request counts as a pull.</param>
    /// <param name="tried">Accounts that upstream has refused the request to; null if there are none.</param>
    /// <returns>Null if upstream has refused the request, or the login, of each account.</returns>
    /// <exception cref="UpstreamLimitedException">All accounts that it has not refused are paused.</exception>
    public Account? Choose(RepositoryName name, bool isPull, IReadOnlyCollection<Account>? tried)
    {
        var (now, all) = (_time.GetUtcNow(), Volatile.Read(ref _all));
        if (tried is null && _readers.TryGetValue(name, out var reader) && all.Contains(reader) && reader.FreeFrom(isPull) <= now)
            return reader;
        if (tried is not null)
            all = [.. all.Where(account => !tried.Contains(account) && !account.IsRefused(now))];
        if (all.Length == 0)
            return null;
        var best = all.Where(account => account.FreeFrom(isPull) <= now).MaxBy(account => account.Remaining ?? long.MaxValue);
        return best ?? throw LimitReached(all.Min(account => account.FreeFrom(isPull)) - now);
    }

    /// <summary>Another account, after upstream has refused a repository to some; null if none is free.</summary>
    /// <exception cref="UpstreamLimitedException">The one that could read the repository lately is paused.</exception>
    public Account? Other(RepositoryName name, bool isPull, IReadOnlyCollection<Account> tried)
    {
        var (now, all) = (_time.GetUtcNow(), Volatile.Read(ref _all));
        if (Array.FindAll(all, account => !tried.Contains(account) && account.FreeFrom(isPull) <= now) is [_, ..] free)
            return free.MaxBy(account => account.Remaining ?? long.MaxValue);
        return _readers.TryGetValue(name, out var reader) && all.Contains(reader) && !tried.Contains(reader)
            ? throw LimitReached(reader.FreeFrom(isPull) - now)
            : null;
    }

    /// <summary>Remembers that an account could read a repository which upstream had refused to another one.</summary>
    public void Remember(RepositoryName name, Account reader)
    {
        if (_readers.Count >= MaxReaders)
            _readers.Clear();
        _readers[name] = reader;
    }

    /// <summary>Pauses an account, because upstream answered 429 to a request sent with it.</summary>
    /// <param name="retryAfter">From <see cref="UpstreamRequest.RetryAfter"/>.</param>
    /// <param name="toldLimit">Whether the answer reported the account's limit. If it reported neither a limit nor <c>Retry-After</c>, the
    /// pause is short: a second, and twice as long after each further 429, up to a minute.</param>
    /// <returns>How long it is paused.</returns>
    public TimeSpan Pause(Account account, TimeSpan? retryAfter, bool pullsOnly, bool toldLimit)
    {
        var now = _time.GetUtcNow();
        var pause = retryAfter ?? (toldLimit ? DefaultPause : account.NextPause(now, pullsOnly, DefaultPause));
        account.Pause(now + pause, pullsOnly);
        return pause;
    }

    /// <summary>Pauses an account whose login upstream refused; false if no other account can take its requests.</summary>
    public bool TryPauseRefused(Account account)
    {
        var now = _time.GetUtcNow();
        if (!Array.Exists(Volatile.Read(ref _all), other => other != account && other.FreeFrom(isPull: true) <= now))
            return false;
        account.PauseRefused(now + DefaultPause);
        return true;
    }

    private UpstreamLimitedException LimitReached(TimeSpan left) =>
        new($"The mirror has reached its rate limit at {_origin.Authority}.", left);

    private static Account[] AccountsOf(UpstreamOptions options, TimeProvider time, ILogger? log)
    {
        List<Func<CancellationToken, ValueTask<Credential?>>> credentials = [];
        if (options.Exec is { } exec)
            credentials.Add(new CredentialHelper(exec, options.RemoteUrl!, time, log).GetAsync);
        else if (options.Username is { Length: > 0 } username)
            credentials.Add(Fixed(new Credential(username, options.Password ?? "")));
        credentials.AddRange(options.Credentials.Select(account => Fixed(new Credential(account.Username, account.Password))));
        if (credentials.Count == 0)
            credentials.Add(Fixed(null));
        return
        [
            .. credentials.Select((credential, index) => new Account(index, credential, time)
            {
                // The helper is the first one.
                HelperAdvice = index == 0 && options.Exec is { Lifetime: null } ? CredentialHelper.LifetimeAdvice : null,
            }),
        ];
    }

    // The settings that the accounts are made of, in their order.
    private static IEnumerable<(string?, string?, TimeSpan?)> LoginsOf(UpstreamOptions options)
    {
        if (options.Exec is { } exec)
            yield return (exec.Command, null, exec.Lifetime);
        else if (options.Username is { Length: > 0 } username)
            yield return (username, options.Password, null);
        foreach (var account in options.Credentials)
            yield return (account.Username, account.Password, null);
    }

    private static Func<CancellationToken, ValueTask<Credential?>> Fixed(Credential? credential) => _ => ValueTask.FromResult(credential);
}
