using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.IdentityModel.Tokens;
using Mirror.Tls;

namespace Mirror.Schema1;

/// <summary>Algorithms and keys of the signatures (RFC 7515 to RFC 7518, as libtrust uses them).</summary>
internal static class Jws
{
    // Of 8192 bits: a longer modulus makes the check of one signature slow.
    private const int MaxModulus = 1024;

    public static string AlgorithmOf(ECDsa key) => key.KeySize switch { 256 => "ES256", 384 => "ES384", _ => "ES512" };

    public static HashAlgorithmName HashOf(string algorithm) => algorithm[2..] switch
    {
        "256" => HashAlgorithmName.SHA256,
        "384" => HashAlgorithmName.SHA384,
        _ => HashAlgorithmName.SHA512,
    };

    /// <summary>Whether a key made a signature. The key alone says which algorithms may be: <c>none</c> is never one of them.</summary>
    public static bool Verifies(AsymmetricAlgorithm key, string? algorithm, ReadOnlySpan<byte> signed, ReadOnlySpan<byte> signature) =>
        key switch
        {
            RSA rsa => algorithm is "RS256" or "RS384" or "RS512"
                && rsa.VerifyData(signed, signature, HashOf(algorithm), RSASignaturePadding.Pkcs1),
            ECDsa ec => algorithm == AlgorithmOf(ec) && ec.VerifyData(signed, signature, HashOf(algorithm)),
            _ => false,
        };

    /// <summary>The key in the header of a signature: of its first certificate, or else its <c>jwk</c>; null where there is
    /// none.</summary>
    /// <exception cref="FormatException">It is no such key.</exception>
    public static AsymmetricAlgorithm? KeyIn(JsonElement header)
    {
        try
        {
            if (header.TryGetProperty("x5c", out var chain) && chain is { ValueKind: JsonValueKind.Array } && chain.GetArrayLength() > 0)
            {
                using var certificate = X509CertificateLoader.LoadCertificate(Convert.FromBase64String(chain[0].GetString() ?? ""));
                return (AsymmetricAlgorithm?)certificate.GetECDsaPublicKey() ?? certificate.GetRSAPublicKey();
            }
            return header.TryGetProperty("jwk", out var jwk) && jwk.ValueKind != JsonValueKind.Null ? KeyOf(jwk) : null;
        }
        catch (Exception malformed) when (malformed.IsKeyFailure || malformed is InvalidOperationException)
        {
            throw new FormatException($"the key of a signature is malformed: {malformed.Message}", malformed);
        }
    }

    /// <summary>The bytes of a part in Base64Url.</summary>
    /// <exception cref="FormatException">It is not Base64Url.</exception>
    public static byte[] Decoded(string? text) => Base64Url.DecodeFromChars(text);

    private static AsymmetricAlgorithm KeyOf(JsonElement json)
    {
        var jwk = new JsonWebKey(json.GetRawText());
        if (jwk.N is { Length: > MaxModulus * 4 / 3 + 4 })
            throw new FormatException($"the key of a signature has more than {MaxModulus * 8} bits");
        var key = KeyNames.ToPublicKey(jwk) ?? throw new FormatException("the key of a signature is neither EC nor RSA");
        if (string.IsNullOrEmpty(jwk.Kid) || jwk.Kid == KeyNames.Of(key).First())
            return key;
        key.Dispose();
        throw new FormatException("the 'kid' of a signature is not the name of its key");
    }
}
