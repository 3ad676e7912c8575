using System.Net;
using Mirror.Storage;
using static Mirror.Upstream.UpstreamAnswers;

namespace Mirror.Upstream;

/// <summary>
/// The accounts of the mirror that one request is sent with, one after the other: which one is next, which ones upstream refused the
/// request to, and what to tell the client if no account is left. For one request; not thread-safe.
/// </summary>
internal sealed class RequestAccounts
{
    private readonly UpstreamOrigin _origin;
    private readonly Accounts _accounts;
    private readonly UpstreamState _state;
    private readonly TimeProvider _time;
    private readonly UpstreamRequestKey _key;
    private readonly bool _isPull;
    // The accounts that upstream refused the request to; null if there are none.
    private List<Account>? _tried;
    // What to throw if no account is left. Accounts may have different rights, and a 404 may hide what an account may not read: so a
    // refusal of access counts before a 404.
    private UpstreamDeniedException? _denial, _hidden;

    /// <param name="isPull">Whether the request counts as a pull.</param>
    /// <exception cref="UpstreamLimitedException">All accounts are paused.</exception>
    public RequestAccounts(
        UpstreamOrigin origin, Accounts accounts, UpstreamState state, TimeProvider time, UpstreamRequestKey key, bool isPull)
    {
        (_origin, _accounts, _state, _time, _key, _isPull) = (origin, accounts, state, time, key, isPull);
        Current = Choose();
    }

    /// <summary>The account to send the request with.</summary>
    public Account Current { get; private set; }

    private RepositoryName Name => _key.Name;

    /// <summary>
    /// Notes what the token service answered to the current account. Returns whether another account is current now; if not, the failure
    /// is that of the request.
    /// </summary>
    /// <exception cref="UpstreamDeniedException">The token service refuses access, and no other account is left.</exception>
    /// <exception cref="UpstreamLimitedException">All other accounts are paused.</exception>
    public bool GoOnAfter(UpstreamException failure)
    {
        switch (failure)
        {
            case UpstreamDeniedException denied:
                _denial ??= denied.For(_key);
                // If the token service may have refused the login and not the repository, then wait for a paused account, too.
                if (!TryOther())
                    Current = denied.MayBeOfLogin ? Choose() : throw _denial;
                return true;
            case UpstreamUnavailableException { IsLoginRefused: true }:
                return GoOnAfterLoginRefused();
            case UpstreamLimitedException { IsOfAnonymous: false } limited:
                // A limit of the token service holds for the account, as one for content does.
                GoOnAfterLimit(limited.RetryAfter, pullsOnly: false, toldLimit: false);
                return true;
            default:
                return false;
        }
    }

    /// <summary>
    /// Notes what the registry answered to the current account. Returns whether another account is current now; if not, the answer is
    /// that of the request. Disposes every other answer.
    /// </summary>
    /// <exception cref="UpstreamDeniedException">The answer is 404, and upstream refused access to an earlier account.</exception>
    /// <exception cref="UpstreamLimitedException">The answer is 429, and all accounts are paused.</exception>
    public bool GoOnAfter(HttpResponseMessage response)
    {
        var isLast = false;
        try
        {
            isLast = !HasNextAfter(response);
            return !isLast;
        }
        finally
        {
            if (!isLast)
                response.Dispose();
        }
    }

    private bool HasNextAfter(HttpResponseMessage response)
    {
        if (_accounts.HaveCredentials && response.IsSuccessStatusCode)
            _state.LoginWorked(Current);
        if (_accounts.HaveCredentials && IsLoginRefused(response) && GoOnAfterLoginRefused())
            return true;
        var isOwn = _origin.IsSameOrigin(response.RequestMessage!.RequestUri!);
        if (isOwn && response.StatusCode == HttpStatusCode.TooManyRequests)
        {
            GoOnAfterLimit(
                UpstreamRequest.RetryAfter(response, _time), _isPull, toldLimit: response.Headers.Contains("ratelimit-remaining"));
            return true;
        }
        Current.Answered();
        if (_tried is not null && response.IsSuccessStatusCode)
            _accounts.Remember(Name, Current);
        return isOwn && (IsMissing(response) || response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
            && GoOnAfterRefusal(isMissing: IsMissing(response));
    }

    private bool GoOnAfterRefusal(bool isMissing)
    {
        if (!TryOther())
            return isMissing && _denial is not null ? throw _denial : false;
        _hidden ??= UpstreamDeniedException.Of(_key, _origin, _accounts);
        if (!isMissing)
            _denial ??= _hidden;
        return true;
    }

    // If upstream has a token service, the service has accepted or refused the login already. Without one, the registry's own answer shows
    // whether the login is correct.
    private bool IsLoginRefused(HttpResponseMessage response) =>
        response.StatusCode == HttpStatusCode.Unauthorized
        && response.RequestMessage is { Headers.Authorization.Scheme: "Basic" } request
        && _origin.IsSameOrigin(request.RequestUri!)
        && request.Options.TryGetValue(UpstreamRequest.IsLoginRefused, out var isRefused) && isRefused;

    private bool GoOnAfterLoginRefused()
    {
        var others = _accounts.TryPauseRefused(Current);
        _state.LoginRefused(Current, isLast: !others);
        if (others)
            Current = Choose();
        return others;
    }

    private void GoOnAfterLimit(TimeSpan? retryAfter, bool pullsOnly, bool toldLimit)
    {
        _state.Limited(Current, _accounts.Pause(Current, retryAfter, pullsOnly, toldLimit));
        Current = Choose();
    }

    // After a refusal of the repository: no paused account is waited for, unless it could read the repository lately.
    private bool TryOther()
    {
        (_tried ??= []).Add(Current);
        if (_accounts.Other(Name, _isPull, _tried) is not { } other)
            return false;
        Current = other;
        return true;
    }

    private Account Choose() => _accounts.Choose(Name, _isPull, _tried) ?? throw _denial ?? _hidden!;
}
