using System.Net;
using System.Net.Http.Headers;
using System.Runtime.ExceptionServices;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// Answers an upstream's challenge, and remembers it: later requests have the header from the start, so that a pull costs one token request
/// for each scope. Stands around the redirects, because the header is for the configured origin only.
/// </summary>
public sealed class AuthorizationHandler(UpstreamOrigin origin, TokenSource tokens, TimeProvider time) : DelegatingHandler
{
    // If a registry sends no challenge, the mirror does not look for one more often than this.
    private static readonly TimeSpan PingInterval = TimeSpan.FromMinutes(1);

    // A token service that fails is not a reason to send twice the requests to the registry.
    private static readonly TimeSpan LearnInterval = TimeSpan.FromSeconds(10);

    private readonly SingleFlight<string, Challenge?> _pings = new();
    private volatile Challenge? _challenge;
    private long? _pingedAt;
    private long? _learntAt;

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
            when (failure is UpstreamDeniedException or UpstreamUnavailableException { IsLoginRefused: false } && MayLearn())
        {
            failed = failure;
        }
        var response = failed is null
            ? await SendAsync(request, first, cancellationToken)
            : await LearnAsync(known!, request, failed, cancellationToken);
        known = failed is null ? known : _challenge;

        // 2. Look for a challenge of the upstream itself. Never answer one from a host that it redirected to. Some registries redirect
        // anonymous clients to a page with a login.
        var used = request.Headers.Authorization;
        var refused = used?.Scheme == "Bearer" ? used.Parameter : null;
        var isLoginPage = known is null && response.IsSuccessStatusCode && UpstreamAnswers.IsWebPage(response);
        if (!isLoginPage
            && (response.StatusCode is not (HttpStatusCode.NotFound or HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized)
                || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!)))
            return response;
        AuthenticationHeaderValue? answer = null;
        try
        {
            var challenge = response.StatusCode == HttpStatusCode.Unauthorized ? Challenge.From(response) : null;

            // 3. Some registries challenge at /v2/ only, and refuse anonymous requests elsewhere: with an account, look there.
            if (challenge is null && known is null && await HasCredentialAsync(request, cancellationToken))
                challenge = _challenge ?? (await _pings.JoinOrStart("v2/", PingAsync, cancellationToken)).Result;

            // 4. Answer it, with a token that upstream has not refused yet.
            if (challenge is not null)
                answer = await AnswerAsync(_challenge = challenge, request, refused, cancellationToken);
            if (answer is null)
                return response;
        }
        catch
        {
            response.Dispose();
            throw;
        }

        // 5. Send once more. Except for a token that is too new, a second refusal is the answer.
        if (!answer.Equals(used))
        {
            response.Dispose();
            response = await SendAsync(request, answer, cancellationToken);
        }
        return await WithSecondTokenAsync(response, answer, request, cancellationToken);
    }

    // A registry may refuse a token that its service has just issued, because the service replicates late or their clocks differ. One more
    // token, some time later, is worth a try, unless the registry says that the token is good and lacks the right.
    private async Task<HttpResponseMessage> WithSecondTokenAsync(
        HttpResponseMessage response, AuthenticationHeaderValue sent, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (response.StatusCode != HttpStatusCode.Unauthorized || sent is not { Scheme: "Bearer", Parameter: { } refused }
            || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!)
            || Challenge.From(response) is not { Realm: not null } challenge || Challenge.IsOfScope(response)
            || !request.Options.TryGetValue(UpstreamRequest.Account, out var account)
            || !request.Options.TryGetValue(UpstreamRequest.Scope, out var scope))
            return response;
        string? second;
        try
        {
            second = await tokens.GetSecondAsync(challenge, account, scope, refused, cancellationToken);
        }
        catch
        {
            response.Dispose();
            throw;
        }
        if (second is null)
            return response;
        response.Dispose();
        return await SendAsync(request, new("Bearer", second), cancellationToken);
    }

    private async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request, AuthenticationHeaderValue? authorization, CancellationToken cancellationToken)
    {
        request.Headers.Authorization = authorization;
        var response = await base.SendAsync(request, cancellationToken);
        if (authorization?.Scheme == "Bearer" && response.StatusCode != HttpStatusCode.Unauthorized
            && request.Options.TryGetValue(UpstreamRequest.Account, out var account)
            && request.Options.TryGetValue(UpstreamRequest.Scope, out var scope))
            tokens.Accepted(account, scope);
        return response;
    }

    private bool MayLearn() => _learntAt is not { } at || time.GetElapsedTime(at) >= LearnInterval;

    // The remembered challenge names a token service that does not give a token. The upstream may have another one now, or none: its answer
    // to a request without a token says so.
    private async Task<HttpResponseMessage> LearnAsync(
        Challenge known, HttpRequestMessage request, UpstreamException failure, CancellationToken cancellationToken)
    {
        _learntAt = time.GetTimestamp();
        var response = await SendAsync(request, authorization: null, cancellationToken);
        var isOpen = response.IsSuccessStatusCode && !UpstreamAnswers.IsWebPage(response);
        var challenge = response.StatusCode == HttpStatusCode.Unauthorized && origin.IsSameOrigin(response.RequestMessage!.RequestUri!)
            ? Challenge.From(response) : null;
        if (!isOpen && (challenge is null || challenge == known))
        {
            response.Dispose();
            ExceptionDispatchInfo.Throw(failure);
        }
        _challenge = challenge;
        return response;
    }

    // The challenge at "/v2/"; null where there is none.
    private async Task<Challenge?> PingAsync(CancellationToken cancellationToken)
    {
        if (_challenge is not null || _pingedAt is { } at && time.GetElapsedTime(at) < PingInterval)
            return _challenge;
        using var ping = new HttpRequestMessage(HttpMethod.Get, new Uri(origin.BaseAddress, "v2/"));
        ping.Headers.UserAgent.Add(UpstreamRequest.Agent);
        using var pong = await base.SendAsync(ping, cancellationToken);
        if (!origin.IsSameOrigin(pong.RequestMessage!.RequestUri!) || pong.StatusCode >= HttpStatusCode.InternalServerError)
            return null;
        _pingedAt = time.GetTimestamp();
        return pong.StatusCode == HttpStatusCode.Unauthorized ? Challenge.From(pong) : null;
    }

    private static async ValueTask<bool> HasCredentialAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
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
            return new AuthenticationHeaderValue("Bearer", await tokens.GetAsync(challenge, account, scope, refused, cancellationToken));
        return (await account.CredentialAsync(cancellationToken))?.ToHeader();
    }
}
