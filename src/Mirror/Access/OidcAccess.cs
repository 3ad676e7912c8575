using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Tls;

namespace Mirror.Access;

/// <summary>The owner of an identity token. Rules know it by its claims only: its issuer chooses the name.</summary>
internal sealed record OidcUser(TokenClaims Claims) : AccessUser(ClaimsOnlyPrefix + Claims.Sub)
{
    public override IEnumerable<string> ValuesOf(string claim) => Claims.ValuesOf(claim);
}

/// <summary>
/// <c>auth.oidc</c>, beside another way to log in: the client logs in as the user <see cref="UserName"/>, with an identity token of an
/// OpenID provider as its password. CI services give such a token to each job.
/// </summary>
public sealed class OidcAccess : IAccess, IDisposable
{
    /// <summary>The user name of every job.</summary>
    public const string UserName = "oidc";

    private const int MaxEntries = 10_000;
    private static readonly TimeSpan CacheTime = TimeSpan.FromMinutes(1);

    private readonly IAccess _others;
    private readonly OidcOptions _options;
    private readonly TimeProvider _time;
    private readonly OidcKeys _keys;
    private readonly MemoryCache _verified = new(new MemoryCacheOptions { SizeLimit = MaxEntries });

    /// <param name="others">How all other clients log in.</param>
    public OidcAccess(IAccess others, OidcOptions options, TimeProvider time, ILogger<OidcAccess> log)
    {
        (_others, _options, _time) = (others, options, time);
        _keys = new(options.Issuer, time, log);
    }

    /// <summary>Whether no other client has to log in.</summary>
    public bool IsAlone => _others is OpenAccess;

    public async ValueTask<AccessUser?> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken) =>
        BasicHeader.Read(http.Request.Headers.Authorization) is (UserName, var token)
            ? await ReadAsync(token, cancellationToken)
            : await _others.AuthenticateAsync(http, cancellationToken);

    public string? RefusedUser(string authorization) =>
        BasicHeader.Read(authorization) is (UserName, _) ? UserName : _others.RefusedUser(authorization);

    public ValueTask<bool> AuthorizeAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) =>
        user is OidcUser ? new(true) : _others.AuthorizeAsync(user, repository, action, cancellationToken);

    public Refusal Refuse(in RefusedRequest request) => IsAlone
        ? new($"Basic realm={BearerChallenge.Quoted(UserName)}",
            $"an identity token of {_options.Issuer} is needed, as the password of the user {UserName}")
        : _others.Refuse(request);

    public void Dispose()
    {
        _keys.Dispose();
        _verified.Dispose();
    }

    private async ValueTask<AccessUser?> ReadAsync(string token, CancellationToken cancellationToken)
    {
        // A token that is too long, or of another issuer, causes no request to the provider.
        if (token.Length > TokenVerifier.MaxLength || !IsOfIssuer(token))
            return null;
        var entry = Base64UrlEncoder.Encode(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(token)));
        if (await _keys.GetAsync(cancellationToken) is not { } keys)
            return null;
        if (_verified.TryGetValue(entry, out (OidcUser User, JsonWebKeySet Keys) known) && known.Keys == keys
            && VerifierOf(keys).IsInTime(known.User.Claims))
            return known.User;
        var claims = await VerifierOf(keys).ReadAsync(token);
        if (claims is null && KeyOf(keys, new JsonWebToken(token).Kid) is null)
        {
            keys = await _keys.GetForUnknownAsync(cancellationToken) ?? keys;
            claims = await VerifierOf(keys).ReadAsync(token);
        }
        if (claims is null)
            return null;
        var user = new OidcUser(claims);
        _verified.Set(entry, (user, keys), new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = CacheTime });
        return user;
    }

    private bool IsOfIssuer(string token)
    {
        try
        {
            return new JsonWebToken(token).Issuer == _options.Issuer;
        }
        catch (Exception malformed) when (malformed is ArgumentException or FormatException)
        {
            return false;
        }
    }

    private TokenVerifier VerifierOf(JsonWebKeySet keys) => new(
        header => KeyOf(keys, header.TryGetProperty("kid", out var kid) && kid.ValueKind is JsonValueKind.String ? kid.GetString() : null),
        _options.Issuer, _options.Audience, TokenServerAccess.AllAlgorithms, _time);

    // The key with this name. If the token names none: the provider's key, if it has only one.
    private static SecurityKey? KeyOf(JsonWebKeySet keys, string? name)
    {
        var all = keys.Keys.Where(key => key.Use is null or "" or "sig").ToList();
        var key = string.IsNullOrEmpty(name) ? all is [var only] ? only : null : all.Find(one => one.Kid == name);
        try
        {
            return key is not null && KeyNames.ToPublicKey(key) is { } known ? KeyNames.ToSecurityKey(known) : null;
        }
        catch (Exception malformed) when (malformed.IsJwkFailure)
        {
            // The entry with this name is no usable key, so no token can be verified with it.
            return null;
        }
    }
}
