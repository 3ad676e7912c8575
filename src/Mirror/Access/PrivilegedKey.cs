using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Tls;

namespace Mirror.Access;

/// <summary>The owner of the key in <c>auth.privileged_key</c>, who may do everything.</summary>
internal sealed record PrivilegedUser(string Token) : AccessUser(PrivilegedKey.UserName);

/// <summary>
/// <c>auth.privileged_key</c>: the owner of an RSA key may do everything, as in docker-registry 0.x. There a signature was valid for ever,
/// and could be sent again. Here the key signs a token with an end. A client sends the token as a Bearer token, or as the password of the
/// user <see cref="UserName"/>.
/// </summary>
public sealed class PrivilegedKey
{
    /// <summary>The user name of the key's owner.</summary>
    public const string UserName = "privileged";

    /// <summary>The longest time until the end of a token.</summary>
    public static readonly TimeSpan MaxLifetime = TimeSpan.FromHours(24);

    private const string Issuer = "privileged_key";
    private const string Audience = "mirror";
    private const int MinBits = 2048;

    private static readonly string[] Algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

    private readonly TokenVerifier _verifier;
    private readonly TimeProvider _time;

    /// <exception cref="IOException">The file cannot be read, or holds no such key.</exception>
    public PrivilegedKey(AuthOptions options, TimeProvider time)
    {
        _time = time;
        var rsa = Read(options.PrivilegedKey!, "auth.privileged_key");
        var key = new RsaSecurityKey(rsa);
        HashSet<string> names = [.. KeyNames.Of(rsa)];
        _verifier = new(header => IsOurs(header, names) ? key : null, Issuer, Audience, Algorithms, time);
    }

    /// <summary>A token of a private key's owner.</summary>
    /// <param name="file">A PEM file: PKCS#1 or PKCS#8.</param>
    /// <param name="lifetime">A second or more, and <see cref="MaxLifetime"/> at most.</param>
    /// <exception cref="IOException">The file cannot be read, or holds no such key.</exception>
    public static string Sign(string file, TimeSpan lifetime, TimeProvider time)
    {
        using var rsa = Read(file, "--key");
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        var claims = new TokenClaims
        {
            Iss = Issuer,
            Aud = JsonSerializer.SerializeToElement(Audience, TokenJson.Default.String),
            Sub = UserName,
            Exp = now + (long)lifetime.TotalSeconds,
        };
        var key = new RsaSecurityKey(rsa)
        {
            KeyId = KeyNames.Of(rsa).ElementAt(1),
            CryptoProviderFactory = new CryptoProviderFactory { CacheSignatureProviders = false },
        };
        try
        {
            return new JsonWebTokenHandler().CreateToken(
                JsonSerializer.Serialize(claims, TokenJson.Default.TokenClaims), new SigningCredentials(key, SecurityAlgorithms.RsaSha256));
        }
        catch (Exception failure) when (failure is InvalidOperationException or CryptographicException)
        {
            throw new IOException($"--key: {file} holds no private key", failure);
        }
    }

    /// <summary>The user, if a request carries a token that the key verifies and that ends within 24 hours; else null.</summary>
    public async ValueTask<AccessUser?> UserOfAsync(HttpRequest request)
    {
        if (TokenIn(request.Headers.Authorization) is not { } token || await _verifier.ReadAsync(token) is not { } claims)
            return null;
        return claims.Exp <= (_time.GetUtcNow() + MaxLifetime).ToUnixTimeSeconds() + 1 ? new PrivilegedUser(token) : null;
    }

    private static string? TokenIn(string? authorization)
    {
        if (BearerChallenge.TokenIn(authorization) is { } bearer)
            return bearer;
        return BasicHeader.Read(authorization) is (UserName, var password) ? password : null;
    }

    // Every request with a token of another issuer comes here too. Most of these tokens name their key, so there is no need to verify their
    // signature.
    private static bool IsOurs(JsonElement header, HashSet<string> names) =>
        !header.TryGetProperty("kid", out var kid) || kid.ValueKind is JsonValueKind.String && names.Contains(kid.GetString()!);

    private static RSA Read(string file, string setting)
    {
        var rsa = RSA.Create();
        try
        {
            // PKCS#1, as pyrsa-priv2pub writes it, and SPKI, as openssl does; or the private key of either.
            rsa.ImportFromPem(File.ReadAllText(file));
            if (rsa.KeySize >= MinBits)
                return rsa;
        }
        catch (Exception failure) when (failure.IsKeyFailure || failure is UnauthorizedAccessException)
        {
            rsa.Dispose();
            throw new IOException($"{setting}: {file} holds no RSA key in PEM: {failure.Message}", failure);
        }
        rsa.Dispose();
        throw new IOException($"{setting}: the RSA key in {file} has fewer than {MinBits} bits");
    }
}

/// <summary>Another <see cref="IAccess"/>, for all clients but the owner of <see cref="PrivilegedKey"/>.</summary>
internal sealed class PrivilegedAccess(IAccess others, PrivilegedKey key) : IAccess
{
    public async ValueTask<AccessUser?> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken) =>
        await key.UserOfAsync(http.Request) ?? await others.AuthenticateAsync(http, cancellationToken);

    public string? RefusedUser(string authorization) => others.RefusedUser(authorization);

    public ValueTask<bool> AuthorizeAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) =>
        user is PrivilegedUser ? new(true) : others.AuthorizeAsync(user, repository, action, cancellationToken);

    public ValueTask<string?> RuleForAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) =>
        user is PrivilegedUser ? new("auth.privileged_key") : others.RuleForAsync(user, repository, action, cancellationToken);

    public Refusal Refuse(in RefusedRequest request) => others.Refuse(request);
}
