using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.ExceptionServices;

namespace Mirror.Upstream;

/// <summary>
/// Answers an upstream's challenge, and remembers it: later requests have the header from the start, so that a pull costs one token request
/// for each scope. It is outside of <see cref="RedirectHandler"/>, because the header is for the configured origin only.
/// </summary>
/// <remarks>
/// Some registries answer 404 to anonymous requests for private content. So a 404 to a request that was sent without the configured login
/// says nothing, unless the registry's <c>/v2/</c> shows that it wants no login.
/// </remarks>
public sealed partial class AuthorizationHandler : DelegatingHandler
{
    // Without this pause, each request would be sent twice while a token service fails.
    private static readonly TimeSpan TryInterval = TimeSpan.FromSeconds(10);

    // A limit, because clients choose the repositories, and so the number of scopes.
    private const int MaxScopes = 10_000;

    private readonly UpstreamOrigin _origin;
    private readonly TokenSource _tokens;
    private readonly TimeProvider _time;
    private readonly RegistryRoot _root;
    private readonly LoginChecks _logins;
    private readonly NamedScopes _scopes = new();
    // When a request without a token was of no use.
    private readonly ConcurrentDictionary<string, long> _uselessTries = new();
    private volatile Challenge? _challenge;

    public AuthorizationHandler(UpstreamOrigin origin, TokenSource tokens, TimeProvider time)
    {
        (_origin, _tokens, _time) = (origin, tokens, time);
        _root = new(origin, base.SendAsync, time);
        _logins = new(time);
    }

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
        var isLoginPage = known is null && response.IsSuccessStatusCode && UpstreamAnswers.IsWebPage(response);
        var isRefusal = IsRefusal(response) && (IsBearer(used) || response.StatusCode != HttpStatusCode.BadRequest);
        if (!isLoginPage && !(IsOwn(response) && (isRefusal || UpstreamAnswers.IsMissing(response))))
            return response;
        var refused = IsBearer(used) ? used.Parameter : null;
        AuthenticationHeaderValue? answer = null;
        Challenge? tried = null;
        try
        {
            var challenge = ChallengeIn(response);

            // 3. Some registries challenge at /v2/ only, and refuse anonymous requests elsewhere: if the mirror has an account, ask /v2/.
            if (challenge is null && known is null && await HasCredentialAsync(request, cancellationToken))
                challenge = _challenge ?? await FindChallengeAsync(request, response, cancellationToken);

            // 4. Some registries do not say that a token has ended: renew it, as if they had repeated the challenge that it answers.
            if (isRefusal && refused is not null && challenge is not { HasTokenService: true })
            {
                response = await WithRenewedTokenAsync(response, known!, request, refused, cancellationToken);
                (used, challenge) = (request.Headers.Authorization, ChallengeIn(response));
                refused = IsBearer(used) ? used.Parameter : refused;
            }

            // 5. Answer it, with a token that upstream has not refused yet. Harbor answers a refused token with Basic: that is no reason to
            // forget its token service, but the registry may have changed to Basic.
            if (challenge is not null && IsBearer(used) && !challenge.HasTokenService)
                answer = await AnswerAsync(tried = challenge, request, refused, cancellationToken);
            else if (challenge is not null)
                answer = await AnswerAsync(_challenge = challenge, request, refused, cancellationToken);
        }
        catch
        {
            response.Dispose();
            throw;
        }

        // 6. Send once more. If upstream refuses again, this is the final answer, except for a token that is too new.
        if (answer is not null && !answer.Equals(used))
        {
            response.Dispose();
            response = await SendAsync(request, answer, cancellationToken);
            if (tried is not null && response.IsSuccessStatusCode && !UpstreamAnswers.IsWebPage(response))
                _challenge = tried;
        }
        response = await WithSecondTokenAsync(response, request.Headers.Authorization, request, cancellationToken);
        response = await WithNamedScopeAsync(response, request, cancellationToken);
        // A registry that knows tokens only refuses every login that it gets itself.
        if (tried is null)
            await CheckLoginAsync(response, request, answer ?? used, cancellationToken);
        if (!UpstreamAnswers.IsMissing(response) || !IsOwn(response)
            || !request.Options.TryGetValue(UpstreamRequest.IsLoginWithheld, out var isWithheld) || !isWithheld
            || UpstreamRequest.MayLackApi(request))
            return response;
        using (response)
            throw new UpstreamDeniedException(
                $"{_origin.Authority} answered {(int)response.StatusCode} to a request without the login of section proxy, because the "
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
            || !IsOwn(response) || !request.Options.TryGetValue(UpstreamRequest.Account, out var account) || account.IsOfClient)
            return;
        try
        {
            if (await _logins.IsRefusedAsync(account, stop => _root.RefusesAsync(sent, stop), cancellationToken) is { } isRefused)
                response.RequestMessage!.Options.Set(UpstreamRequest.IsLoginRefused, isRefused);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <param name="named">The scope of the token, if it is not the one that <see cref="_scopes"/> knows.</param>
    private async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request, AuthenticationHeaderValue? authorization, CancellationToken cancellationToken, string? named = null)
    {
        request.Headers.Authorization = authorization;
        var response = await base.SendAsync(request, cancellationToken);
        if (authorization is null || !request.Options.TryGetValue(UpstreamRequest.Account, out var account)
            || !request.Options.TryGetValue(UpstreamRequest.Scope, out var scope))
            return response;
        if (IsBearer(authorization) && IsAccepted(response))
            _tokens.Accepted(account, named ?? _scopes.Of(scope), authorization.Parameter!);
        else if (!IsBearer(authorization) && response.IsSuccessStatusCode)
            _logins.Accepted(account);
        return response;
    }

    private static bool IsBearer([NotNullWhen(true)] AuthenticationHeaderValue? header) => header is { Scheme: "Bearer" };

    private bool IsOwn(HttpResponseMessage response) => _origin.IsSameOrigin(response.RequestMessage!.RequestUri!);

    private Challenge? ChallengeIn(HttpResponseMessage response) =>
        response.StatusCode == HttpStatusCode.Unauthorized && IsOwn(response) ? Challenge.From(response) : null;

    // Some registries answer 400 to a token that has ended.
    private static bool IsRefusal(HttpResponseMessage response) =>
        response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.BadRequest;

    // Whether the registry has looked at the token and taken it. It may answer 429 and 5xx before it looks.
    private bool IsAccepted(HttpResponseMessage response) => !IsOwn(response)
        || !IsRefusal(response) && response.StatusCode is not (HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError);

    private bool MayTryWithoutToken(HttpRequestMessage request) =>
        !_uselessTries.TryGetValue(ScopeOf(request), out var at) || _time.GetElapsedTime(at) >= TryInterval;

    private static string ScopeOf(HttpRequestMessage request) =>
        request.Options.TryGetValue(UpstreamRequest.Scope, out var scope) ? scope : "";

    // The remembered challenge names a token service that gives no token. Upstream may have another token service now, or none, and some
    // repositories need no token: the answer to a request without a token shows this.
    private async Task<HttpResponseMessage> TryWithoutTokenAsync(
        Challenge known, HttpRequestMessage request, UpstreamException failure, CancellationToken cancellationToken)
    {
        var response = await SendAsync(request, authorization: null, cancellationToken);
        var isOpen = response.IsSuccessStatusCode && !UpstreamAnswers.IsWebPage(response);
        var challenge = ChallengeIn(response);
        if (!isOpen && (challenge is null || challenge == known))
        {
            response.Dispose();
            if (_uselessTries.Count >= MaxScopes)
                _uselessTries.Clear();
            _uselessTries[ScopeOf(request)] = _time.GetTimestamp();
            ExceptionDispatchInfo.Throw(failure);
        }
        // An answer of one repository without a token says nothing about the others: only "/v2/" shows that upstream no longer needs one.
        if (!isOpen || await _root.IsOpenAsync(cancellationToken))
            _challenge = challenge;
        return response;
    }

    private async Task<Challenge?> FindChallengeAsync(
        HttpRequestMessage request, HttpResponseMessage refusal, CancellationToken cancellationToken)
    {
        var rootAnswer = await _root.AskAsync(cancellationToken);
        if (rootAnswer is { IsMissing: false } || !UpstreamAnswers.IsMissing(refusal) || UpstreamRequest.MayLackApi(request))
            return rootAnswer?.Challenge;
        var answered = $"{_origin.Authority} answered {(int)refusal.StatusCode} to a request without the login of section proxy";
        throw rootAnswer is null
            ? new UpstreamUnavailableException($"{answered}, and its /v2/ does not show whether it wants a login.")
            : new UpstreamDeniedException($"{answered}, and it has no /v2/ that shows how to log in.", hasAccount: false)
            {
                IsMissing = true,
                LoginAdvice = "if the repository is private, let upstream answer /v2/ with 401, as registries do; if the mirror needs no "
                    + "login there, remove it from the settings of this upstream",
            };
    }

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
            return Bearer(await _tokens.GetAsync(challenge, account, _scopes.Of(scope), refused, cancellationToken), request);
        request.Options.Set(UpstreamRequest.IsLoginWithheld, false);
        return (await account.CredentialAsync(cancellationToken))?.ToHeader();
    }

    private static AuthenticationHeaderValue Bearer(TokenSource.Token token, HttpRequestMessage request)
    {
        request.Options.Set(UpstreamRequest.IsLoginWithheld, token.IsLoginWithheld);
        return new("Bearer", token.Value);
    }
}
