using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.ExceptionServices;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// Answers an upstream's challenge, and remembers it: later requests have the header from the start, so that a pull costs one token request
/// for each scope. It is outside of <see cref="RedirectHandler"/>, because the header is for the configured origin only.
/// </summary>
/// <remarks>
/// Some registries answer 404 to anonymous requests for private content. So a 404 to a request that was sent without the configured login
/// says nothing, unless the registry's <c>/v2/</c> shows that it wants no login.
/// </remarks>
public sealed class AuthorizationHandler(UpstreamOrigin origin, TokenSource tokens, TimeProvider time) : DelegatingHandler
{
    // How long the answer of "/v2/" counts.
    private static readonly TimeSpan PingInterval = TimeSpan.FromMinutes(1);

    // How long to wait after a 429 of "/v2/" without Retry-After.
    private static readonly TimeSpan DefaultPause = TimeSpan.FromSeconds(1);

    // Without this pause, each request would be sent twice while a token service fails.
    private static readonly TimeSpan TryInterval = TimeSpan.FromSeconds(10);

    // A limit, because clients choose the repositories, and so the number of scopes.
    private const int MaxScopes = 10_000;

    private readonly SingleFlight<string, RootAnswer?> _pings = new();
    private readonly LoginChecks _logins = new(time);
    private readonly NamedScopes _scopes = new();
    // When a request without a token was of no use.
    private readonly ConcurrentDictionary<string, long> _uselessTries = new();
    private volatile Challenge? _challenge;
    private volatile RootAnswer? _rootAnswer;
    private volatile Limit? _limit;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // 1. Answer the last challenge.
        var known = _challenge;
        AuthenticationHeaderValue? first = null;
        UpstreamException? failed = null;
        try
        {
            first = await AnswerAsync(known, request, refused: null, cancellationToken);
        }
        catch (UpstreamException failure)
            when (failure is UpstreamDeniedException or UpstreamUnavailableException { IsLoginRefused: false }
                && MayTryWithoutToken(request))
        {
            failed = failure;
        }
        var response = failed is null
            ? await SendAsync(request, first, cancellationToken)
            : await TryWithoutTokenAsync(known!, request, failed, cancellationToken);
        known = failed is null ? known : _challenge;

        // 2. Look for a challenge of the upstream itself. Never answer one from a host that it redirected to. Some registries redirect
        // anonymous clients to a page with a login.
        var used = request.Headers.Authorization;
        var refused = used?.Scheme == "Bearer" ? used.Parameter : null;
        var isLoginPage = known is null && response.IsSuccessStatusCode && UpstreamAnswers.IsWebPage(response);
        if (!isLoginPage
            && (response.StatusCode is not (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden) && !UpstreamAnswers.IsMissing(response)
                || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!)))
            return response;
        AuthenticationHeaderValue? answer = null;
        try
        {
            var challenge = response.StatusCode == HttpStatusCode.Unauthorized ? Challenge.From(response) : null;

            // 3. Some registries challenge at /v2/ only, and refuse anonymous requests elsewhere: if the mirror has an account, ask /v2/.
            if (challenge is null && known is null && await HasCredentialAsync(request, cancellationToken))
                challenge = _challenge ?? await FindChallengeAsync(request, response, cancellationToken);

            // 4. Answer it, with a token that upstream has not refused yet.
            if (challenge is not null)
                answer = await AnswerAsync(_challenge = challenge, request, refused, cancellationToken);
        }
        catch
        {
            response.Dispose();
            throw;
        }

        // 5. Send once more. If upstream refuses again, this is the final answer, except for a token that is too new.
        if (answer is not null && !answer.Equals(used))
        {
            response.Dispose();
            response = await SendAsync(request, answer, cancellationToken);
        }
        response = await WithNamedScopeAsync(response, request, cancellationToken);
        response = await WithSecondTokenAsync(response, request.Headers.Authorization, request, cancellationToken);
        await CheckLoginAsync(response, request, answer ?? used, cancellationToken);
        if (!UpstreamAnswers.IsMissing(response) || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!)
            || !request.Options.TryGetValue(UpstreamRequest.IsLoginWithheld, out var isWithheld) || !isWithheld
            || UpstreamRequest.MayLackApi(request))
            return response;
        using (response)
            throw new UpstreamDeniedException(
                $"{origin.Authority} answered {(int)response.StatusCode} to a request without the login of section proxy, because the "
                + "login may not go to its token service (proxy.token_realms).",
                hasAccount: false)
            {
                IsMissing = true,
                LoginAdvice = TokenSource.WithheldAdvice,
            };
    }

    // Without a token service, the registry's "/v2/" shows whether it refuses the login, or only one repository to it.
    private async Task CheckLoginAsync(
        HttpResponseMessage response, HttpRequestMessage request, AuthenticationHeaderValue? sent, CancellationToken cancellationToken)
    {
        if (response.StatusCode != HttpStatusCode.Unauthorized || sent is not { Scheme: "Basic" }
            || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!)
            || !request.Options.TryGetValue(UpstreamRequest.Account, out var account) || account.IsOfClient)
            return;
        try
        {
            if (await _logins.IsRefusedAsync(account, stop => IsRefusedAtRootAsync(sent, stop), cancellationToken) is { } isRefused)
                response.RequestMessage.Options.Set(UpstreamRequest.IsLoginRefused, isRefused);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private async Task<bool?> IsRefusedAtRootAsync(AuthenticationHeaderValue login, CancellationToken cancellationToken)
    {
        using var ping = Ping();
        ping.Headers.Authorization = login;
        using var rootAnswer = await base.SendAsync(ping, cancellationToken);
        return !origin.IsSameOrigin(rootAnswer.RequestMessage!.RequestUri!) ? null
            : rootAnswer.StatusCode == HttpStatusCode.Unauthorized ? true : rootAnswer.IsSuccessStatusCode ? false : null;
    }

    private HttpRequestMessage Ping() => new(HttpMethod.Get, new Uri(origin.BaseAddress, "v2/"))
    {
        Headers = { UserAgent = { UpstreamRequest.Agent } },
    };

    private async Task<HttpResponseMessage> WithNamedScopeAsync(
        HttpResponseMessage response, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (response.StatusCode != HttpStatusCode.Unauthorized || request.Headers.Authorization is not { Scheme: "Bearer" }
            || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!) || !_scopes.Learn(ScopeOf(request), Challenge.ScopeOf(response)))
            return response;
        using (response)
            return await SendAsync(request, await AnswerAsync(_challenge, request, refused: null, cancellationToken), cancellationToken);
    }

    // A registry may refuse a token that its service has just issued, because the service replicates late or their clocks differ. So
    // request one more token, a second later, unless the registry says that the token is valid but lacks the right.
    private async Task<HttpResponseMessage> WithSecondTokenAsync(
        HttpResponseMessage response, AuthenticationHeaderValue? sent, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (response.StatusCode != HttpStatusCode.Unauthorized || sent is not { Scheme: "Bearer", Parameter: { } refused }
            || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!)
            || Challenge.From(response) is not { Realm: not null } challenge || Challenge.IsOfScope(response)
            || !request.Options.TryGetValue(UpstreamRequest.Account, out var account)
            || !request.Options.TryGetValue(UpstreamRequest.Scope, out var scope))
            return response;
        TokenSource.Token? second;
        try
        {
            second = await tokens.ReplaceNewAsync(challenge, account, _scopes.Of(scope), refused, cancellationToken);
        }
        catch
        {
            response.Dispose();
            throw;
        }
        if (second is null)
            return response;
        response.Dispose();
        return await SendAsync(request, Bearer(second, request), cancellationToken);
    }

    private async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request, AuthenticationHeaderValue? authorization, CancellationToken cancellationToken)
    {
        request.Headers.Authorization = authorization;
        var response = await base.SendAsync(request, cancellationToken);
        if (authorization is null || response.StatusCode == HttpStatusCode.Unauthorized
            || !request.Options.TryGetValue(UpstreamRequest.Account, out var account)
            || !request.Options.TryGetValue(UpstreamRequest.Scope, out var scope))
            return response;
        if (authorization.Scheme == "Bearer")
            tokens.Accepted(account, _scopes.Of(scope));
        else if (response.IsSuccessStatusCode)
            _logins.Accepted(account);
        return response;
    }

    private bool MayTryWithoutToken(HttpRequestMessage request) =>
        !_uselessTries.TryGetValue(ScopeOf(request), out var at) || time.GetElapsedTime(at) >= TryInterval;

    private static string ScopeOf(HttpRequestMessage request) =>
        request.Options.TryGetValue(UpstreamRequest.Scope, out var scope) ? scope : "";

    // The remembered challenge names a token service that gives no token. Upstream may have another token service now, or none, and some
    // repositories need no token: the answer to a request without a token shows this.
    private async Task<HttpResponseMessage> TryWithoutTokenAsync(
        Challenge known, HttpRequestMessage request, UpstreamException failure, CancellationToken cancellationToken)
    {
        var response = await SendAsync(request, authorization: null, cancellationToken);
        var isOpen = response.IsSuccessStatusCode && !UpstreamAnswers.IsWebPage(response);
        var challenge = response.StatusCode == HttpStatusCode.Unauthorized && origin.IsSameOrigin(response.RequestMessage!.RequestUri!)
            ? Challenge.From(response) : null;
        if (!isOpen && (challenge is null || challenge == known))
        {
            response.Dispose();
            if (_uselessTries.Count >= MaxScopes)
                _uselessTries.Clear();
            _uselessTries[ScopeOf(request)] = time.GetTimestamp();
            ExceptionDispatchInfo.Throw(failure);
        }
        // An answer of one repository without a token says nothing about the others: only "/v2/" shows that upstream no longer needs one.
        if (!isOpen || await HasNoChallengeAsync(cancellationToken))
            _challenge = challenge;
        return response;
    }

    private async Task<Challenge?> FindChallengeAsync(
        HttpRequestMessage request, HttpResponseMessage refusal, CancellationToken cancellationToken)
    {
        var rootAnswer = await PingAsync(cancellationToken);
        if (rootAnswer is { IsMissing: false } || !UpstreamAnswers.IsMissing(refusal) || UpstreamRequest.MayLackApi(request))
            return rootAnswer?.Challenge;
        var answered = $"{origin.Authority} answered {(int)refusal.StatusCode} to a request without the login of section proxy";
        throw rootAnswer is null
            ? new UpstreamUnavailableException($"{answered}, and its /v2/ does not show whether it wants a login.")
            : new UpstreamDeniedException($"{answered}, and it has no /v2/ that shows how to log in.", hasAccount: false)
            {
                IsMissing = true,
                LoginAdvice = "if the repository is private, let upstream answer /v2/ with 401, as registries do; if the mirror needs no "
                    + "login there, remove it from the settings of this upstream",
            };
    }

    private async Task<bool> HasNoChallengeAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await PingAsync(cancellationToken) is { Challenge: null, IsMissing: false };
        }
        catch (Exception failure) when (failure is UpstreamException || UpstreamRequest.IsNoAnswer(failure))
        {
            return false;
        }
    }

    // What "/v2/" says about logins; null if its answer does not tell. Such an answer, and a 404, are not remembered.
    private async Task<RootAnswer?> PingAsync(CancellationToken cancellationToken) =>
        _rootAnswer is { } last && time.GetElapsedTime(last.At) < PingInterval ? last
            : (await _pings.JoinOrStart("v2/", SendPingAsync, cancellationToken)).Result;

    private async Task<RootAnswer?> SendPingAsync(CancellationToken cancellationToken)
    {
        if (_limit is { } limit && limit.Pause - time.GetElapsedTime(limit.At) is var left && left > TimeSpan.Zero)
            throw Limited(left);
        using var ping = Ping();
        using var response = await base.SendAsync(ping, cancellationToken);
        if (!origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
            return null;
        if (response.StatusCode == HttpStatusCode.TooManyRequests)
        {
            var pause = UpstreamRequest.RetryAfter(response, time) ?? DefaultPause;
            _limit = new(pause < PingInterval ? pause : PingInterval, time.GetTimestamp());
            throw Limited(_limit.Pause);
        }
        if (response.StatusCode >= HttpStatusCode.InternalServerError)
            throw new UpstreamUnavailableException($"{origin.Authority} answered {(int)response.StatusCode} to /v2/.");
        var challenge = response.StatusCode == HttpStatusCode.Unauthorized ? Challenge.From(response) : null;
        var isOpen = response.IsSuccessStatusCode && !UpstreamAnswers.IsWebPage(response);
        if (challenge is not null || isOpen)
            return _rootAnswer = new(challenge, IsMissing: false, time.GetTimestamp());
        return UpstreamAnswers.IsMissing(response) ? new(null, IsMissing: true, time.GetTimestamp()) : null;
    }

    // No account pauses after this 429: the request had no login.
    private UpstreamLimitedException Limited(TimeSpan pause) =>
        new($"{origin.Authority} answered 429 to /v2/.", pause) { IsOfAnonymous = true };

    /// <summary>Whether the mirror has a login for the request.</summary>
    internal static async ValueTask<bool> HasCredentialAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        request.Options.TryGetValue(UpstreamRequest.Account, out var account)
        && await account.CredentialAsync(cancellationToken) is not null;

    private async ValueTask<AuthenticationHeaderValue?> AnswerAsync(
        Challenge? challenge, HttpRequestMessage request, string? refused, CancellationToken cancellationToken)
    {
        if (challenge is null || !request.Options.TryGetValue(UpstreamRequest.Scope, out var scope))
            return null;
        if (!request.Options.TryGetValue(UpstreamRequest.Account, out var account))
            throw new InvalidOperationException("A request with a scope needs an account.");
        if (challenge.Realm is not null)
            return Bearer(await tokens.GetAsync(challenge, account, _scopes.Of(scope), refused, cancellationToken), request);
        request.Options.Set(UpstreamRequest.IsLoginWithheld, false);
        return (await account.CredentialAsync(cancellationToken))?.ToHeader();
    }

    private static AuthenticationHeaderValue Bearer(TokenSource.Token token, HttpRequestMessage request)
    {
        request.Options.Set(UpstreamRequest.IsLoginWithheld, token.IsLoginWithheld);
        return new("Bearer", token.Value);
    }

    /// <param name="Challenge">The challenge of "/v2/"; null if it needs no login, or is missing.</param>
    /// <param name="IsMissing">Whether it answered 404.</param>
    private sealed record RootAnswer(Challenge? Challenge, bool IsMissing, long At);

    // That "/v2/" answered 429.
    private sealed record Limit(TimeSpan Pause, long At);
}
