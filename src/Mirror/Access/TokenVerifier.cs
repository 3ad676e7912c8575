using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Mirror.Tls;

namespace Mirror.Access;

/// <summary>Reads the tokens (JSON Web Tokens, RFC 7519) of one issuer.</summary>
/// <param name="choose">The key that the header of a token asks for; null if it is not trusted.</param>
/// <param name="audience">The name by which tokens call this registry.</param>
/// <param name="algorithms">The algorithms of signatures that are accepted.</param>
/// <param name="isOwn">
/// Whether this server, or a replica, makes the tokens. Those of another server count for a minute longer, because its clock may differ.
/// </param>
internal sealed class TokenVerifier(
    Func<JsonElement, SecurityKey?> choose, string issuer, string audience, IReadOnlyCollection<string> algorithms, TimeProvider time,
    bool isOwn = false)
{
    // The limit of all headers of a request: no longer token can arrive.
    public const int MaxLength = 32 * 1024;

    // The clocks of the token server and of this machine differ.
    private const double Leeway = 60;

    private readonly JsonWebTokenHandler _handler = new();

    /// <summary>
    /// The claims of a token; null if the token is malformed, of another issuer, for another registry, not valid now, or not signed by a
    /// trusted key.
    /// </summary>
    public async ValueTask<TokenClaims?> ReadAsync(string token)
    {
        if (token.Length > MaxLength || token.AsSpan().Count('.') != 2)
            return null;
        try
        {
            var parsed = new JsonWebToken(token);
            using var header = JsonDocument.Parse(Base64UrlEncoder.DecodeBytes(parsed.EncodedHeader));
            // RFC 7515, 4.1.11: "crit" lists extensions that the reader must understand. We understand none.
            if (header.RootElement.TryGetProperty("crit", out _) || choose(header.RootElement) is not { } key || !Fits(key, parsed.Alg))
                return null;
            var result = await _handler.ValidateTokenAsync(parsed, new TokenValidationParameters
            {
                IssuerSigningKeyResolver = (_, _, _, _) => [key],
                ValidAlgorithms = algorithms,
                // Checked below instead: this server is stricter than the library, and takes the time from its TimeProvider.
                ValidateIssuer = false,
                ValidateAudience = false,
                ValidateLifetime = false,
            });
            if (!result.IsValid)
                return null;
            var claims = JsonSerializer.Deserialize(Base64UrlEncoder.DecodeBytes(parsed.EncodedPayload), TokenJson.Default.TokenClaims);
            return claims is not null && claims.Iss == issuer && claims.IsFor(audience) && IsInTime(claims) ? claims : null;
        }
        catch (Exception malformed) when (malformed.IsJwkFailure
            || malformed is JsonException or InvalidOperationException or SecurityTokenException)
        {
            return null;
        }
    }

    /// <summary>Whether the time of a token has come and is not over.</summary>
    public bool IsInTime(TokenClaims claims)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0;
        return now <= claims.Exp + (isOwn ? 0 : Leeway) && !(now < claims.Nbf - Leeway);
    }

    // RFC 7518, 3.4: each algorithm has its own curve.
    private static bool Fits(SecurityKey key, string algorithm) => key is not ECDsaSecurityKey ec || algorithm == ec.KeySize switch
    {
        256 => SecurityAlgorithms.EcdsaSha256,
        384 => SecurityAlgorithms.EcdsaSha384,
        521 => SecurityAlgorithms.EcdsaSha512,
        _ => null,
    };
}
