using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Mirror.Storage;

namespace Mirror.Access;

/// <summary>A client with a token of ours. The name is empty if the client has not logged in.</summary>
internal sealed record OwnTokenUser(TokenClaims Claims) : AccessUser(Claims.Sub ?? "")
{
    private const string ClaimsOfLogin = "login";

    /// <summary>The claims of the login, as one claim of the token.</summary>
    public static KeyValuePair<string, JsonElement> Remember(IEnumerable<KeyValuePair<string, string[]>> claims) =>
        new(ClaimsOfLogin, JsonSerializer.SerializeToElement(new(claims), TokenJson.Default.DictionaryStringStringArray));

    /// <summary>Whether the client requested the token for this, and got it for this.</summary>
    public bool Grants(RepositoryName? repository, AccessAction action)
    {
        var right = ResourceAction.Of(repository, action);
        return Claims.Access?.Any(entry => entry?.Allows(right) == true) == true;
    }

    public override IEnumerable<string> ValuesOf(string claim) =>
        Claims.Others?.TryGetValue(ClaimsOfLogin, out var login) == true && login.TryGetProperty(claim, out var values)
            ? values.EnumerateArray().Select(value => value.GetString()!)
            : [];
}

/// <summary>
/// The tokens of our own <c>/auth/token</c>. docker asks <c>/v2/</c> once how to log in, and uses the answer for all its requests. So
/// without tokens, a registry can ask every client for a password, or none. A client can get a token without a login too. The token says
/// which client requested it and for what. At each request the rules decide again what this client may do.
/// </summary>
public sealed class OwnTokens(TokenSecret secret, TimeProvider time)
{
    /// <summary>How long a token is valid, in seconds.</summary>
    public const int Lifetime = 300;

    /// <summary>The lifetime that clients are told, in seconds. The clock of a client, or of another replica, may differ, and requests take
    /// time.</summary>
    public const int ToldLifetime = Lifetime - 60;

    // The names of issuer and registry in our tokens. They are fixed, because one key belongs to one store, not to one address.
    private const string Self = "mirror";

    private TokenVerifier? _verifier;
    private SymmetricSecurityKey? _key;

    /// <summary>A token for a client.</summary>
    /// <param name="login">The user; null for a client that is not logged in.</param>
    /// <param name="rights">What the client requested and may do.</param>
    /// <param name="claims">The names of the claims that occur in the rules.</param>
    /// <exception cref="IOException">The key cannot be read.</exception>
    public async ValueTask<string> IssueAsync(
        AccessUser? login, IEnumerable<ResourceAction> rights, IEnumerable<string> claims, CancellationToken cancellationToken)
    {
        var key = await KeyAsync(cancellationToken);
        var remembered = OwnTokenUser.Remember(claims.Select(claim => KeyValuePair.Create(claim, login?.ValuesOf(claim).ToArray() ?? []))
            .Where(claim => claim.Value.Length > 0));
        var content = new TokenClaims
        {
            Iss = Self,
            Aud = JsonSerializer.SerializeToElement(Self, TokenJson.Default.String),
            Sub = login?.Name,
            Exp = time.GetUtcNow().ToUnixTimeSeconds() + Lifetime,
            Access = [.. rights.GroupBy(right => (right.Type, right.Name))
                .Select(one => new TokenAccess(one.Key.Type, null, one.Key.Name, [.. one.Select(right => right.Action)]))],
            Others = new([remembered]),
        };
        return new JsonWebTokenHandler().CreateToken(
            JsonSerializer.Serialize(content, TokenJson.Default.TokenClaims), new SigningCredentials(key, SecurityAlgorithms.HmacSha256));
    }

    /// <summary>The client with a token of ours; null if the token is not one of ours, or has expired.</summary>
    /// <exception cref="IOException">The key cannot be read.</exception>
    public async ValueTask<AccessUser?> ReadAsync(string token, CancellationToken cancellationToken)
    {
        var key = await KeyAsync(cancellationToken);
        _verifier ??= new(_ => key, Self, Self, [SecurityAlgorithms.HmacSha256], time, isOwn: true);
        return await _verifier.ReadAsync(token) is { } claims ? new OwnTokenUser(claims) : null;
    }

    /// <summary>The answer that sends a client to <c>/auth/token</c>.</summary>
    public Refusal Refuse(in RefusedRequest request)
    {
        var needed = ResourceAction.NeededFor(request.Repository, request.Action, ResourceAction.FromOf(request.Http.Request));
        var error = BearerChallenge.TokenIn(request.Http.Request.Headers.Authorization) is null ? null
            : request.User is null ? "invalid_token"
            : "insufficient_scope";
        var challenge = BearerChallenge.Of($"{request.BaseUrl}/auth/token", Self, ResourceAction.ScopeOf(needed), error);
        return new(challenge, BearerChallenge.Message, needed);
    }

    private async ValueTask<SymmetricSecurityKey> KeyAsync(CancellationToken cancellationToken) =>
        _key ??= new SymmetricSecurityKey(await secret.ReadAsync(cancellationToken));
}
