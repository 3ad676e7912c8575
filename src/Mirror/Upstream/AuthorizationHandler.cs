using System.Net;
using System.Net.Http.Headers;

namespace Mirror.Upstream;

/// <summary>
/// Answers an upstream's challenge. What it asked for the first time is sent unasked afterwards, so that a pull costs one token request for
/// each scope. Sits above the redirects: the header is set for the configured origin only.
/// </summary>
public sealed class AuthorizationHandler(UpstreamOrigin origin, TokenSource tokens) : DelegatingHandler
{
    private volatile Challenge? _challenge;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // 1. What it wanted last time.
        var known = _challenge;
        request.Headers.Authorization = await AnswerAsync(known, request, refused: null, cancellationToken);
        var response = await base.SendAsync(request, cancellationToken);

        // 2. A challenge, from the upstream itself: a 401 from where it redirected us is none of our credentials' business.
        if (response.StatusCode != HttpStatusCode.Unauthorized || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
            return response;
        if (Challenge.From(response) is not { } challenge)
            return response;
        _challenge = challenge;

        // 3. Once more, with a token it has not refused yet. A second 401 is its answer.
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
        var account = request.Options.TryGetValue(UpstreamRequest.Account, out var chosen) ? chosen : throw new InvalidOperationException("A request needs an account.");
        if (challenge.Realm is not null)
            return new AuthenticationHeaderValue("Bearer", await tokens.GetAsync(challenge, account, scope, refused, cancellationToken));
        return await account.CredentialAsync(cancellationToken) is { } credential ? TokenSource.Basic(credential) : null;
    }
}
