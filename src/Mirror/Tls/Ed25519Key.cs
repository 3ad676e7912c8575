using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.IdentityModel.Tokens;
using Org.BouncyCastle.Math.EC.Rfc8032;

namespace Mirror.Tls;

/// <summary>A public key of Ed25519, which verifies signatures of <see cref="Algorithm"/> (RFC 8037). The framework knows no such
/// keys.</summary>
internal sealed class Ed25519Key : SecurityKey, ICryptoProvider
{
    /// <summary>The name of the algorithm in a token.</summary>
    public const string Algorithm = "EdDSA";

    // RFC 8410, 3.
    private const string Oid = "1.3.101.112";

    private readonly byte[] _key;

    /// <exception cref="FormatException">It is no key.</exception>
    private Ed25519Key(byte[] key)
    {
        if (key.Length != Ed25519.PublicKeySize || !Ed25519.ValidatePublicKeyFull(key, 0))
            throw new FormatException("a key of Ed25519 is not a point of its curve");
        _key = key;
        CryptoProviderFactory = new CryptoProviderFactory { CustomCryptoProvider = this, CacheSignatureProviders = false };
    }

    public override int KeySize => 8 * Ed25519.PublicKeySize;

    /// <summary>Its name by RFC 7638 and RFC 8037, 2.</summary>
    public string Name => Base64UrlEncoder.Encode(SHA256.HashData(
        Encoding.ASCII.GetBytes($$"""{"crv":"Ed25519","kty":"OKP","x":"{{Base64UrlEncoder.Encode(_key)}}"}""")));

    /// <summary>The key of a certificate; null for another kind.</summary>
    /// <exception cref="FormatException">It is no key.</exception>
    public static Ed25519Key? Of(X509Certificate2 certificate) =>
        certificate.PublicKey.Oid.Value == Oid ? new(certificate.PublicKey.EncodedKeyValue.RawData) : null;

    /// <summary>The key that a document describes; null for another kind.</summary>
    /// <exception cref="FormatException">It is no key.</exception>
    public static Ed25519Key? Of(JsonWebKey key) =>
        key is { Kty: "OKP", Crv: "Ed25519", X: { } x } ? new(Base64UrlEncoder.DecodeBytes(x)) : null;

    public bool IsSupportedAlgorithm(string algorithm, params object[] args) =>
        algorithm == Algorithm && args is [] or [Ed25519Key, ..];

    public object Create(string algorithm, params object[] args) => new Verifier(this);

    public void Release(object cryptoInstance) => ((IDisposable)cryptoInstance).Dispose();

    private sealed class Verifier(Ed25519Key key) : SignatureProvider(key, Ed25519Key.Algorithm)
    {
        public override bool Verify(byte[] input, byte[] signature) =>
            Verify(input, 0, input.Length, signature, 0, signature.Length);

        public override bool Verify(
            byte[] input, int inputOffset, int inputLength, byte[] signature, int signatureOffset, int signatureLength) =>
            signatureLength == Ed25519.SignatureSize
            && Ed25519.Verify(signature, signatureOffset, key._key, 0, input, inputOffset, inputLength);

        public override byte[] Sign(byte[] input) => throw new NotSupportedException("The key is public.");

        protected override void Dispose(bool disposing)
        {
            // There is nothing to dispose of.
        }
    }
}
