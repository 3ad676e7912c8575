using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.IdentityModel.Tokens;

namespace Mirror.Tls;

/// <summary>The names by which token servers, and signatures of manifests, call a public key.</summary>
internal static class KeyNames
{
    private const string Base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    /// <summary>Every name of a key that is made of the key itself; the first is that of libtrust.</summary>
    public static IEnumerable<string> Of(AsymmetricAlgorithm key)
    {
        yield return Fingerprint(key.ExportSubjectPublicKeyInfo());
        yield return Thumbprint(key, trimmed: false);
        // registry:3 leaves leading zeros out of the coordinates of one key in 128, so that its name of such a key is another one.
        yield return Thumbprint(key, trimmed: true);
    }

    /// <summary>The name of a key that a token's header describes (RFC 7517); null if it is no such key.</summary>
    public static string? OfJwk(JsonElement jwk)
    {
        try
        {
            var read = new JsonWebKey(jwk.GetRawText());
            using var key = ToPublicKey(read);
            return key is null ? Ed25519Key.Of(read)?.Name : Thumbprint(key, trimmed: false);
        }
        catch (Exception malformed) when (malformed.IsJwkFailure)
        {
            return null;
        }
    }

    /// <summary>The public key of an RSA or EC key; null for another kind.</summary>
    /// <exception cref="FormatException">A part of it is missing or not Base64Url, or a number of an RSA key is zero.</exception>
    /// <exception cref="CryptographicException">It is no key.</exception>
    public static AsymmetricAlgorithm? ToPublicKey(JsonWebKey key) => key.Kty switch
    {
        "RSA" => RSA.Create(new RSAParameters { Modulus = NotZero(Bytes(key.N)), Exponent = NotZero(Bytes(key.E)) }),
        "EC" when CurveOf(key.Crv) is { } curve => ECDsa.Create(new ECParameters
        {
            Curve = curve.Curve,
            Q = new ECPoint { X = Padded(Bytes(key.X), curve.Length), Y = Padded(Bytes(key.Y), curve.Length) },
        }),
        _ => null,
    };

    /// <summary>A key of <see cref="ToPublicKey"/>, or of a certificate, for the library that verifies tokens.</summary>
    public static SecurityKey ToSecurityKey(AsymmetricAlgorithm key) =>
        key is RSA rsa ? new RsaSecurityKey(rsa) : new ECDsaSecurityKey((ECDsa)key);

    // libtrust: the first 240 bits of the key's hash, in Base32, in groups of four.
    private static string Fingerprint(byte[] publicKeyInfo)
    {
        var hash = SHA256.HashData(publicKeyInfo);
        var name = new StringBuilder(59);
        for (var i = 0; i < 48; i++)
        {
            var bits = (hash[i * 5 / 8] << 8 | hash[i * 5 / 8 + 1]) >> (11 - i * 5 % 8) & 31;
            name.Append(i > 0 && i % 4 == 0 ? ":" : "").Append(Base32[bits]);
        }
        return name.ToString();
    }

    // RFC 7638: the hash of the key as JSON, with its members in the order of their names.
    private static string Thumbprint(AsymmetricAlgorithm key, bool trimmed)
    {
        string json;
        if (key is RSA rsa)
        {
            var parameters = rsa.ExportParameters(false);
            json = $$"""{"e":"{{Text(parameters.Exponent)}}","kty":"RSA","n":"{{Text(parameters.Modulus)}}"}""";
        }
        else
        {
            var parameters = ((ECDsa)key).ExportParameters(false);
            json = $$"""{"crv":"P-{{key.KeySize}}","kty":"EC","x":"{{Text(parameters.Q.X)}}","y":"{{Text(parameters.Q.Y)}}"}""";
        }
        return Base64UrlEncoder.Encode(SHA256.HashData(Encoding.UTF8.GetBytes(json)));

        string Text(byte[]? number) => Base64UrlEncoder.Encode(trimmed ? number!.AsSpan().TrimStart((byte)0).ToArray() : number);
    }

    private static (ECCurve Curve, int Length)? CurveOf(string? name) => name switch
    {
        "P-256" => (ECCurve.NamedCurves.nistP256, 32),
        "P-384" => (ECCurve.NamedCurves.nistP384, 48),
        "P-521" => (ECCurve.NamedCurves.nistP521, 66),
        _ => null,
    };

    private static byte[] Bytes(string? text) =>
        text is null ? throw new FormatException("a part of the key is missing") : Base64UrlEncoder.DecodeBytes(text);

    // .NET throws an IndexOutOfRangeException for a zero.
    private static byte[] NotZero(byte[] number) =>
        number.AsSpan().ContainsAnyExcept((byte)0) ? number : throw new FormatException("a number of the key is zero");

    private static byte[] Padded(byte[] number, int length) =>
        number.Length < length ? [.. new byte[length - number.Length], .. number] : number;
}
