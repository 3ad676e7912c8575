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

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // 1. Answer the last challenge.
        request.Headers.Authorization = await AnswerAsync(_challenge, request, refused: null, cancellationToken);
        var response = await base.SendAsync(request, cancellationToken);

        // 2. Look for a challenge of the upstream itself. Never answer a 401 from a host that it redirected to.
        if (response.StatusCode != HttpStatusCode.Unauthorized || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
            return response;
        if (Challenge.From(response) is not { } challenge)
            return response;
        _challenge = challenge;

        // 3. Send once more, with a token that upstream has not refused yet. A second 401 is the answer.
        var used = request.Headers.Authorization;
        var answer = await AnswerAsync(challenge, request, used?.Scheme == "Bearer" ? used.Parameter : null, cancellationToken);
        if (answer is null || answer.Equals(used))
            return response;
        response.Dispose();
        request.Headers.Authorization = answer;
        return await base.SendAsync(request, cancellationToken);
    }

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
