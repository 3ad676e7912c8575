using System.Net;
using System.Net.Http.Headers;

namespace Mirror.Upstream;

/// <summary>
/// Answers an upstream's challenge, and remembers it: later requests have the header from the start, so that a pull costs one token request
/// for each scope. Stands around the redirects, because the header is for the configured origin only.
/// </summary>
public sealed class AuthorizationHandler(UpstreamOrigin origin, TokenSource tokens) : DelegatingHandler
{
    private volatile Challenge? _challenge;
    private int _asked;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // 1. Answer the last challenge.
        request.Headers.Authorization = await AnswerAsync(_challenge, request, refused: null, cancellationToken);
        var response = await base.SendAsync(request, cancellationToken);

        // 2. Some registries challenge at /v2/ only, and answer 404 or 403 elsewhere: with an account, look there once.
        if (_challenge is null && response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized
            && Challenge.From(response) is null && await HasCredentialAsync(request, cancellationToken)
            && Interlocked.Exchange(ref _asked, 1) == 0)
        {
            using var ping = new HttpRequestMessage(HttpMethod.Get, new Uri(origin.BaseAddress, "v2/"));
            using var pong = await base.SendAsync(ping, cancellationToken);
            if (pong.StatusCode == HttpStatusCode.Unauthorized && Challenge.From(pong) is { } learnt)
            {
                _challenge = learnt;
                response.Dispose();
                request.Headers.Authorization = await AnswerAsync(learnt, request, refused: null, cancellationToken);
                return await base.SendAsync(request, cancellationToken);
            }
        }

        // 3. Look for a challenge of the upstream itself. Never answer a 401 from a host that it redirected to.
        if (response.StatusCode != HttpStatusCode.Unauthorized || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
            return response;
        if (Challenge.From(response) is not { } challenge)
            return response;
        _challenge = challenge;

        // 4. Send once more, with a token that upstream has not refused yet. A second 401 is the answer.
        var used = request.Headers.Authorization;
        var answer = await AnswerAsync(challenge, request, used?.Scheme == "Bearer" ? used.Parameter : null, cancellationToken);
        if (answer is null || answer.Equals(used))
            return response;
        response.Dispose();
        request.Headers.Authorization = answer;
        return await base.SendAsync(request, cancellationToken);
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
