using System.Security.Cryptography;
using System.Text;
using Mirror.Configuration;

namespace Mirror.Fleet;

/// <summary>The keys that all replicas derive from <c>http.secret</c> (HKDF, RFC 5869), one for each use.</summary>
public sealed class FleetKeys
{
    private readonly byte[] _secret;
    private readonly byte[] _names;

    public FleetKeys(HttpOptions http)
    {
        IsShared = !string.IsNullOrEmpty(http.Secret);
        // Without http.secret: a random secret, so that this process accepts only values that it wrote itself.
        _secret = IsShared ? Encoding.UTF8.GetBytes(http.Secret!) : RandomNumberGenerator.GetBytes(32);
        _names = For("names");
    }

    /// <summary>Whether <c>http.secret</c> is set, so that other replicas can have the same keys.</summary>
    public bool IsShared { get; }

    /// <summary>The key for one use, 32 bytes.</summary>
    public byte[] For(string use) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _secret, 32, info: Encoding.UTF8.GetBytes($"mirror fleet {use}"));

    /// <summary>
    /// A name made of <paramref name="parts"/>: the same in every replica, and a reader without the secret learns nothing from it.
    /// </summary>
    public string Name(params ReadOnlySpan<string> parts) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(_names, Encoding.UTF8.GetBytes(string.Join('\0', parts))));
}
