using System.Collections.Concurrent;
using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>
/// Whether one upstream works: the metric <c>mirror_upstream_up</c>, one line of the log when it becomes unavailable, and one when it works
/// again. The same for its token service, and for the logins of its accounts.
/// </summary>
public sealed partial class UpstreamState(UpstreamOrigin origin, UpstreamMetrics metrics, TimeProvider time, ILogger<UpstreamState> log)
{
    private readonly Outage _registry = new(time);
    private readonly Outage _tokens = new(time);
    private readonly Outage _strange = new(time);
    private readonly ConcurrentDictionary<int, Login> _logins = new();
    private readonly UpstreamTroubles _troubles = new(time);
    private volatile bool _isNoRegistry;

    /// <summary>What went wrong lately.</summary>
    public UpstreamTroubles Troubles => _troubles;

    /// <summary>What it has answered.</summary>
    public UpstreamFigures Figures { get; } = new(time);

    /// <summary>Whether the registry gave no answer, or failed, when it was last asked.</summary>
    public bool IsUnavailable => _troubles.IsUnavailable(origin.Authority);

    /// <summary>Since when an account rests because upstream said 429; null where it does not rest.</summary>
    public DateTimeOffset? LimitedSince(Account account)
    {
        var rest = LoginOf(account).Rest;
        return rest?.HasEnded(time) == false ? rest.Since : null;
    }

    /// <summary>The registry, or its token service, gave an answer of its own.</summary>
    /// <param name="isUp">Whether the answer shows that the registry can be used.</param>
    public void Answered(Uri url, bool isUp)
    {
        var isRegistry = origin.IsSameOrigin(url);
        if (isRegistry && isUp && !_isNoRegistry)
            metrics.IsUp(origin.Label, true);
        _troubles.Over(url.Authority);
        if ((isRegistry ? _registry : _tokens).End() is { } outage)
            LogBack(url.Authority, origin.Label, Math.Round(outage.TotalSeconds, 1));
    }

    /// <summary>The registry, or its token service, gave no answer, or one that no working registry gives.</summary>
    /// <param name="advice">What the operator can do; null for the usual advice.</param>
    public void Failed(Uri url, string reason, string? advice = null)
    {
        var isRegistry = origin.IsSameOrigin(url);
        if (isRegistry)
            metrics.IsUp(origin.Label, false);
        _troubles.Add(url.Authority, reason);
        if ((isRegistry ? _registry : _tokens).Begin())
            LogAway(
                url.Authority, origin.Label, reason.TrimEnd('.'),
                advice ?? "check network, DNS, HTTPS_PROXY and proxy.remoteurl, or ask its operators");
    }

    /// <summary>Something answers at upstream's address, and its answer to <c>/v2/</c> is not that of a registry.</summary>
    /// <param name="isTlsPort">Whether it says that this port speaks TLS.</param>
    public void FoundNoRegistry(string how, bool isTlsPort)
    {
        _isNoRegistry = true;
        metrics.IsUp(origin.Label, false);
        _troubles.Note(origin.Authority, $"{how}, as no registry does");
        if (_strange.Begin())
            LogAway(
                origin.Authority, origin.Label, $"{how}, as no registry does",
                isTlsPort ? "this port speaks TLS: write https:// in proxy.remoteurl"
                    : "check proxy.remoteurl, and whether a proxy in front of the registry has lost its route to it");
    }

    /// <summary>A registry answers at upstream's address.</summary>
    public void FoundRegistry()
    {
        if (_isNoRegistry)
            metrics.IsUp(origin.Label, true);
        _isNoRegistry = false;
        if (_strange.End() is { } outage)
            LogBack(origin.Authority, origin.Label, Math.Round(outage.TotalSeconds, 1));
    }

    /// <summary>Upstream took the login of an account.</summary>
    public void LoginWorked(Account account)
    {
        if (LoginOf(account).Outage.End() is not null)
            LogLoginBack(origin.Label, account.Index);
    }

    /// <summary>Upstream refused the login of an account, and not only one repository to it.</summary>
    /// <param name="isLast">Whether no other account can take its requests.</param>
    public void LoginRefused(Account account, bool isLast)
    {
        if (isLast)
            metrics.IsUp(origin.Label, false);
        _troubles.Note(origin.Authority, $"it refuses the login of account {account.Index}");
        if (LoginOf(account).Outage.Begin())
            LogLoginRefused(origin.Authority, origin.Label, account.Index, account.LoginAdvice);
    }

    /// <summary>Upstream answered 429 to an account, which is now paused.</summary>
    public void Limited(Account account, TimeSpan pause)
    {
        _troubles.Note(origin.Authority, $"account {account.Index} has reached its limit (429), and rests for {pause.TotalSeconds:0} s");
        var login = LoginOf(account);
        var since = login.Rest is { } rest && !rest.HasEnded(time) ? rest.Since : time.GetUtcNow();
        login.Rest = new Rest(since, time.GetTimestamp(), pause);
        if (login.Limit.IsDue())
            LogLimited(origin.Authority, origin.Label, account.Index, Math.Round(pause.TotalSeconds));
    }

    private Login LoginOf(Account account) => _logins.GetOrAdd(account.Index, static (_, time) => new Login(time), time);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "{Host} of upstream {Upstream} cannot be used: {Reason}. Stored content is served, other requests fail until it is back: "
        + "{Advice}")]
    private partial void LogAway(string host, string upstream, string reason, string advice);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Host} of upstream {Upstream} answers again, after {Seconds} s")]
    private partial void LogBack(string host, string upstream, double seconds);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "{Host} of upstream {Upstream} refuses the login of account {Account}: {Advice}. Stored content is served")]
    private partial void LogLoginRefused(string host, string upstream, int account, string advice);

    [LoggerMessage(Level = LogLevel.Information, Message = "upstream {Upstream} takes the login of account {Account} again")]
    private partial void LogLoginBack(string upstream, int account);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "{Host} of upstream {Upstream} says that account {Account} has reached its limit (429). It rests for {Seconds} s. Stored "
        + "content is served: wait, or add an account to proxy.credentials")]
    private partial void LogLimited(string host, string upstream, int account, double seconds);

    private sealed class Login(TimeProvider time)
    {
        public Outage Outage { get; } = new(time);

        public RareLine Limit { get; } = new(time);

        public Rest? Rest { get; set; }
    }

    // One object, so that another thread never reads the half of one rest and the half of the next.
    private sealed record Rest(DateTimeOffset Since, long Begun, TimeSpan Pause)
    {
        public bool HasEnded(TimeProvider time) => time.GetElapsedTime(Begun) >= Pause;
    }
}
