using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.IdentityModel.Tokens;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Access;

/// <summary>Makes tokens as a token server does, and as an attacker does: every part can be chosen.</summary>
internal static class TokenForge
{
    internal const string Issuer = "tokens.example";
    internal const string Service = "registry.example";

    /// <summary>The claims of an ordinary token of alice.</summary>
    /// <param name="access">Such as <c>repository:team/app:pull,push</c>.</param>
    internal static JsonObject Claims(params string[] access)
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        return new JsonObject
        {
            ["iss"] = Issuer,
            ["sub"] = "alice",
            ["aud"] = Service,
            ["exp"] = now + 300,
            ["nbf"] = now - 10,
            ["iat"] = now - 10,
            ["jti"] = Guid.NewGuid().ToString(),
            ["access"] = new JsonArray([.. access.Select(Entry)]),
        };
    }

    /// <summary>The section <c>auth</c> of a registry that trusts this certificate of a token server.</summary>
    internal static string Section(TempFolder folder, X509Certificate2 certificate) => $"""
        auth:
          token:
            realm: https://tokens.example/token
            service: {Service}
            issuer: {Issuer}
            rootcertbundle: {folder.Write("bundle.pem", certificate.ExportCertificatePem())}

        """;

    /// <summary>Claims with one changed; null takes it away.</summary>
    internal static JsonObject With(this JsonObject claims, string name, JsonNode? value)
    {
        claims[name] = value;
        if (value is null)
            claims.Remove(name);
        return claims;
    }

    internal static JsonObject Header(string algorithm, params (string Name, JsonNode Value)[] more)
    {
        var header = new JsonObject { ["typ"] = "JWT", ["alg"] = algorithm };
        foreach (var (name, value) in more)
            header[name] = value;
        return header;
    }

    internal static string Sign(JsonObject header, JsonNode payload, Func<byte[], byte[]> sign) =>
        Sign(header.ToJsonString(), payload.ToJsonString(), sign);

    internal static string Sign(string header, string payload, Func<byte[], byte[]> sign)
    {
        var text = $"{Base64UrlEncoder.Encode(header)}.{Base64UrlEncoder.Encode(payload)}";
        return $"{text}.{Base64UrlEncoder.Encode(sign(Encoding.ASCII.GetBytes(text)))}";
    }

    internal static Func<byte[], byte[]> Rs(RSA key, HashAlgorithmName hash) => data => key.SignData(data, hash, RSASignaturePadding.Pkcs1);

    internal static Func<byte[], byte[]> Rs256(RSA key) => Rs(key, HashAlgorithmName.SHA256);

    internal static Func<byte[], byte[]> Ps256(RSA key) => data => key.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pss);

    internal static Func<byte[], byte[]> Es(ECDsa key, HashAlgorithmName hash) => data => key.SignData(data, hash);

    internal static Func<byte[], byte[]> Hs256(byte[] key) => data => HMACSHA256.HashData(key, data);

    /// <summary>The public part of a key as a JSON Web Key.</summary>
    internal static JsonObject Jwk(AsymmetricAlgorithm key, string? kid = null)
    {
        JsonObject jwk;
        if (key is RSA rsa)
        {
            var parameters = rsa.ExportParameters(false);
            jwk = new JsonObject { ["kty"] = "RSA", ["e"] = Text(parameters.Exponent), ["n"] = Text(parameters.Modulus) };
        }
        else
        {
            var parameters = ((ECDsa)key).ExportParameters(false);
            jwk = new JsonObject
            {
                ["kty"] = "EC",
                ["crv"] = $"P-{key.KeySize}",
                ["x"] = Text(parameters.Q.X),
                ["y"] = Text(parameters.Q.Y),
            };
        }
        if (kid is not null)
            jwk["kid"] = kid;
        return jwk;

        static string Text(byte[]? number) => Base64UrlEncoder.Encode(number);
    }

    /// <summary>The name of a key by RFC 7638.</summary>
    internal static string Thumbprint(AsymmetricAlgorithm key) => Base64UrlEncoder.Encode(
        (key is RSA rsa ? (SecurityKey)new RsaSecurityKey(rsa) : new ECDsaSecurityKey((ECDsa)key)).ComputeJwkThumbprint());

    internal static JsonArray X5c(params X509Certificate2[] chain) => [.. chain.Select(one => Convert.ToBase64String(one.RawData))];

    internal static CertificateRequest Request(string name, AsymmetricAlgorithm key, bool isAuthority)
    {
        var request = key is RSA rsa
            ? new CertificateRequest($"CN={name}", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest($"CN={name}", (ECDsa)key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isAuthority, false, 0, critical: true));
        return request;
    }

    internal static X509Certificate2 SelfSigned(string name, AsymmetricAlgorithm key, bool isAuthority = false, int endsInDays = 30) =>
        Request(name, key, isAuthority).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-60), DateTimeOffset.UtcNow.AddDays(endsInDays));

    /// <summary>A certificate that an authority with an RSA key issued.</summary>
    internal static X509Certificate2 Issue(
        X509Certificate2 authority, RSA authorityKey, string name, AsymmetricAlgorithm key, bool isAuthority = false, int endsInDays = 30,
        byte[]? serial = null) =>
        Request(name, key, isAuthority).Create(
            authority.SubjectName, X509SignatureGenerator.CreateForRSA(authorityKey, RSASignaturePadding.Pkcs1),
            DateTimeOffset.UtcNow.AddDays(-20), DateTimeOffset.UtcNow.AddDays(endsInDays), serial ?? RandomNumberGenerator.GetBytes(8));

    private static JsonNode Entry(string scope)
    {
        var parts = scope.Split(':');
        return new JsonObject
        {
            ["type"] = parts[0],
            ["name"] = parts[1],
            ["actions"] = new JsonArray([.. parts[2].Split(',').Select(action => JsonValue.Create(action))]),
        };
    }
}
