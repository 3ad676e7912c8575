using System.Net;
using System.Net.Http.Headers;

namespace Mirror.Upstream;

// What to try after the registry refused a token.
public sealed partial class AuthorizationHandler
{
    // A front that changes paths: see NamedScopes.
    private async Task<HttpResponseMessage> WithNamedScopeAsync(
        HttpResponseMessage response, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (response.StatusCode != HttpStatusCode.Unauthorized || !IsOwn(response) || !IsBearer(request.Headers.Authorization)
            || !request.Options.TryGetValue(UpstreamRequest.Account, out var account)
            || !request.Options.TryGetValue(UpstreamRequest.Scope, out var usual))
            return response;
        var named = Challenge.ScopeOf(response);
        if (!_scopes.IsWorthATry(usual, named) || Challenge.From(response) is not { HasTokenService: true } challenge)
        {
            _scopes.Forget(usual);
            return response;
        }
        TokenSource.Token token;
        try
        {
            token = await _tokens.GetAsync(challenge, account, named, refused: null, cancellationToken);
        }
        catch (UpstreamDeniedException)
        {
            // The registry's answer says more of the repository than that of its token service about a name that may be a placeholder.
            _scopes.Forget(usual);
            return response;
        }
        catch
        {
            response.Dispose();
            throw;
        }
        response.Dispose();
        response = await SendAsync(request, Bearer(token, request), cancellationToken, named);
        if (IsAccepted(response))
            _scopes.Learn(usual, named);
        else
        {
            _scopes.Forget(usual);
            _tokens.Refused(account, named, token);
        }
        return response;
    }

    // A token that ended before its time, or got rights since. The refusal may have no challenge, or Basic; or it is 403 or 400.
    private async Task<HttpResponseMessage> WithRenewedTokenAsync(
        HttpResponseMessage refusal, Challenge known, HttpRequestMessage request, string refused, CancellationToken cancellationToken)
    {
        if (!request.Options.TryGetValue(UpstreamRequest.Account, out var account)
            || !request.Options.TryGetValue(UpstreamRequest.Scope, out var usual))
            return refusal;
        var scope = _scopes.Of(usual);
        var answered = _tokens.ChallengeOf(account, scope) ?? known;
        var isDenied = refusal.StatusCode != HttpStatusCode.Unauthorized;
        TokenSource.Token? token;
        try
        {
            token = await _tokens.RenewAsync(answered, account, scope, refused, isDenied, cancellationToken);
        }
        catch (UpstreamException failure) when (failure is not UpstreamUnavailableException { IsLoginRefused: true })
        {
            // Most such answers are about the content, so they say more than the failure of the token service.
            if (isDenied)
                return refusal;
            if (failure is UpstreamLimitedException || !MayTryWithoutToken(request))
                throw;
            refusal.Dispose();
            return await TryWithoutTokenAsync(answered, request, failure, cancellationToken);
        }
        if (token is null)
            return refusal;
        refusal.Dispose();
        var response = await SendAsync(request, Bearer(token, request), cancellationToken);
        if (isDenied)
            _tokens.Renewed(token, IsOwn(response) && IsRefusal(response));
        return response;
    }

    // A registry may refuse a token that its service has just issued, because the service replicates late or their clocks differ. So
    // request one more token, a second later, unless the registry says that the token is valid but lacks the right.
    private async Task<HttpResponseMessage> WithSecondTokenAsync(
        HttpResponseMessage response, AuthenticationHeaderValue? sent, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (response.StatusCode != HttpStatusCode.Unauthorized || !IsOwn(response) || !IsBearer(sent)
            || Challenge.From(response) is not { HasTokenService: true } challenge || Challenge.IsOfScope(response)
            || !request.Options.TryGetValue(UpstreamRequest.Account, out var account)
            || !request.Options.TryGetValue(UpstreamRequest.Scope, out var scope))
            return response;
        TokenSource.Token? second;
        try
        {
            second = await _tokens.ReplaceNewAsync(challenge, account, _scopes.Of(scope), sent.Parameter!, cancellationToken);
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
}
