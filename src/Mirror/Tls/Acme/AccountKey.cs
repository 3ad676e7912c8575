using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Mirror.Tls.Acme;

/// <summary>The key of an account: ECDSA on P-256, which signs as ES256.</summary>
internal sealed class AccountKey(ECDsa key) : IDisposable
{
    /// <summary>The public key, with its members in the order of RFC 7638.</summary>
    public string Jwk { get; } = JwkOf(key.ExportParameters(includePrivateParameters: false).Q);

    /// <summary>The thumbprint of the key by RFC 7638, as it stands behind the token of a challenge.</summary>
    public string Thumbprint => Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(Jwk)));

    /// <summary>A signed request (RFC 8555, 6.2; RFC 7515, 7.2.2).</summary>
    /// <param name="header">The protected header, a document of JSON.</param>
    /// <param name="payload">A document of JSON; empty to read something.</param>
    public string Sign(string header, string payload)
    {
        var (first, second) = (Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header)),
            Base64Url.EncodeToString(Encoding.UTF8.GetBytes(payload)));
        var signature = Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes($"{first}.{second}"), HashAlgorithmName.SHA256));
        return $$"""{"protected":"{{first}}","payload":"{{second}}","signature":"{{signature}}"}""";
    }

    public void Dispose() => key.Dispose();

    private static string JwkOf(ECPoint point) =>
        $$"""{"crv":"P-256","kty":"EC","x":"{{Base64Url.EncodeToString(point.X)}}","y":"{{Base64Url.EncodeToString(point.Y)}}"}""";
}
