using System.Net;

namespace Mirror.Upstream;

/// <summary>
/// Answers the challenge of a registry that upstream redirects to, for example because it has moved. It asks for the token without a login:
/// the mirror's logins are for the configured address only. This handler is around the redirects.
/// </summary>
/// <remarks>
/// Many registries answer 404 to anonymous requests for private content. So if the mirror has a login, which it did not send, the 404 of
/// such a registry is no more than a refusal of access.
/// </remarks>
internal sealed class AnonymousTokenHandler(UpstreamOrigin origin, TokenSource tokens, TimeProvider time) : DelegatingHandler
{
    // The token that the mirror has may have expired, or be that of another host.
    private const int MaxAttempts = 2;

    private readonly Account _anonymous = new(0, static _ => ValueTask.FromResult<Credential?>(null), time);

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        string? refused = null;
        // The challenges of stores name no scope. Their answers stay as they are.
        for (var i = 0; i < MaxAttempts && response.StatusCode == HttpStatusCode.Unauthorized
            && !origin.IsSameOrigin(response.RequestMessage!.RequestUri!)
            && Challenge.From(response) is { Realm: not null } challenge && Challenge.ScopeOf(response) is { } scope; i++)
        {
            string token;
            try
            {
                token = (await tokens.GetAsync(challenge, _anonymous, scope, refused, cancellationToken)).Value;
            }
            catch (UpstreamException)
            {
                // The registry's answer says more of the upstream than that of its token service.
                return response;
            }
            catch
            {
                response.Dispose();
                throw;
            }
            if (token == refused)
                return response;
            var again = response.RequestMessage;
            again.Headers.Authorization = new("Bearer", refused = token);
            response.Dispose();
            response = await base.SendAsync(again, cancellationToken);
            if (response.StatusCode != HttpStatusCode.Unauthorized)
                tokens.Accepted(_anonymous, scope, token);
        }
        if (!UpstreamAnswers.IsMissing(response) || !IsOfOtherRegistry(request.RequestUri!, response.RequestMessage!.RequestUri!)
            || UpstreamRequest.MayLackApi(request)
            || !await AuthorizationHandler.HasCredentialAsync(request, cancellationToken))
            return response;
        using (response)
            throw new UpstreamDeniedException(
                $"{response.RequestMessage.RequestUri!.Authority}, to which {origin.Authority} redirects, answered "
                + $"{(int)response.StatusCode} to a request without the login of section proxy: the mirror sends the login to the address "
                + "in proxy.remoteurl only.",
                hasAccount: false)
            {
                IsMissing = true,
                LoginAdvice = "if the repository is private, set proxy.remoteurl to the address that answers; if the mirror needs no login "
                    + "there, remove it from the settings of this upstream",
            };
    }

    // Whether a redirect led to the same content at another registry. A CDN has other paths: registries sign the addresses that lead to it.
    private bool IsOfOtherRegistry(Uri asked, Uri answered)
    {
        var (from, to) = (Uri.UnescapeDataString(asked.AbsolutePath), Uri.UnescapeDataString(answered.AbsolutePath));
        var what = from.LastIndexOf('/', from.LastIndexOf('/') - 1);
        return !origin.IsSameOrigin(answered) && to.Contains("/v2/", StringComparison.Ordinal)
            && to.EndsWith(from[what..], StringComparison.Ordinal);
    }
}
