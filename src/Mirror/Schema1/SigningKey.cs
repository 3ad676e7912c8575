using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.IdentityModel.Tokens;
using Mirror.Configuration;
using Mirror.Tls;

namespace Mirror.Schema1;

/// <summary>
/// The private key that signs manifests of schema 1. No client compares it with anything: a signature only says that the manifest is whole.
/// </summary>
public sealed class SigningKey : IDisposable
{
    private readonly AsymmetricAlgorithm _key;
    private readonly Lock _turn = new();

    /// <exception cref="IOException">The file cannot be read, or holds no such key.</exception>
    public SigningKey(Schema1Options options)
    {
        try
        {
            _key = options.SigningKeyFile is { } file ? Read(file) : ECDsa.Create(ECCurve.NamedCurves.nistP256);
        }
        catch (CryptographicException failure)
        {
            throw new IOException($"compatibility.schema1.signingkeyfile: {options.SigningKeyFile} {failure.Message}", failure);
        }
        Jwk = PublicPart(_key);
        Algorithm = _key is RSA ? "RS256" : Jws.AlgorithmOf((ECDsa)_key);
    }

    /// <summary>The algorithm of its signatures (RFC 7518, section 3.1).</summary>
    public string Algorithm { get; }

    /// <summary>The members of the public key, in the order in which libtrust writes them.</summary>
    public IReadOnlyList<(string Name, string Value)> Jwk { get; }

    public byte[] Sign(ReadOnlySpan<byte> bytes)
    {
        lock (_turn)
            return _key is RSA rsa
                ? rsa.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                : ((ECDsa)_key).SignData(bytes, Jws.HashOf(Algorithm));
    }

    public void Dispose() => _key.Dispose();

    private static (string, string)[] PublicPart(AsymmetricAlgorithm key)
    {
        var kid = KeyNames.Of(key).First();
        if (key is RSA rsa)
        {
            var numbers = rsa.ExportParameters(false);
            return
            [
                ("e", Base64UrlEncoder.Encode(numbers.Exponent)), ("kid", kid), ("kty", "RSA"),
                ("n", Base64UrlEncoder.Encode(numbers.Modulus)),
            ];
        }
        var point = ((ECDsa)key).ExportParameters(false).Q;
        return
        [
            ("crv", $"P-{key.KeySize}"), ("kid", kid), ("kty", "EC"), ("x", Base64UrlEncoder.Encode(point.X)),
            ("y", Base64UrlEncoder.Encode(point.Y)),
        ];
    }

    /// <summary>The private key in a file.</summary>
    /// <exception cref="CryptographicException">It holds none.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static AsymmetricAlgorithm Read(string file)
    {
        try
        {
            var text = File.ReadAllText(file);
            return text.AsSpan().TrimStart().StartsWith("{") ? OfJwk(text) : OfPem(text);
        }
        catch (Exception failure) when (failure.IsJwkFailure || failure is JsonException or UnauthorizedAccessException)
        {
            throw new CryptographicException($"holds no private EC or RSA key, in PEM or as a JWK: {failure.Message}", failure);
        }
    }

    private static AsymmetricAlgorithm OfPem(string text)
    {
        AsymmetricAlgorithm key = text.Contains("BEGIN RSA ", StringComparison.Ordinal) ? RSA.Create() : ECDsa.Create();
        try
        {
            try
            {
                key.ImportFromPem(text);
            }
            // PKCS#8 says only inside which of the two it is.
            catch (Exception other) when (other.IsKeyFailure && key is ECDsa)
            {
                key.Dispose();
                key = RSA.Create();
                key.ImportFromPem(text);
            }
            // A public key has no such part.
            _ = key.ExportPkcs8PrivateKey();
            return key;
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    private static AsymmetricAlgorithm OfJwk(string text)
    {
        var jwk = new JsonWebKey(text);
        using var publicPart = KeyNames.ToPublicKey(jwk) ?? throw new FormatException("the kind of key is another one");
        if (publicPart is RSA rsa)
        {
            var numbers = rsa.ExportParameters(false);
            (numbers.D, numbers.P, numbers.Q) = (Bytes(jwk.D), Bytes(jwk.P), Bytes(jwk.Q));
            (numbers.DP, numbers.DQ, numbers.InverseQ) = (Bytes(jwk.DP), Bytes(jwk.DQ), Bytes(jwk.QI));
            return RSA.Create(numbers);
        }
        var point = ((ECDsa)publicPart).ExportParameters(false);
        point.D = [.. new byte[Math.Max(0, point.Q.X!.Length - Bytes(jwk.D).Length)], .. Bytes(jwk.D)];
        return ECDsa.Create(point);

        static byte[] Bytes(string? part) =>
            part is null ? throw new FormatException("a part of the private key is missing") : Base64UrlEncoder.DecodeBytes(part);
    }
}
