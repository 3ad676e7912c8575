using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Mirror.Configuration;

namespace Mirror.Fleet;

/// <summary>
/// What replicas have in common and nobody else has: keys from <c>http.secret</c>. With them they prove themselves to each other, and read from
/// the network only what one of them wrote.
/// </summary>
public sealed class FleetSecret
{
    /// <summary>The header by which a replica proves itself.</summary>
    public const string Header = "X-Mirror-Replica";

    // Clocks differ, and a request waits in queues.
    private static readonly TimeSpan Leeway = TimeSpan.FromSeconds(60);

    private const int NonceSize = 12;
    private const int TagSize = 16;

    private readonly byte[] _proof;
    private readonly byte[] _seal;
    private readonly byte[] _names;
    private readonly TimeProvider _time;

    public FleetSecret(HttpOptions http, TimeProvider time)
    {
        _time = time;
        // Without a secret, one that no other process has: what we write, only we can read.
        var secret = string.IsNullOrEmpty(http.Secret) ? RandomNumberGenerator.GetBytes(32) : Encoding.UTF8.GetBytes(http.Secret);
        IsShared = !string.IsNullOrEmpty(http.Secret);
        (_proof, _seal, _names) = (Key("proof"), Key("seal"), Key("names"));
        byte[] Key(string use) => HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, info: Encoding.UTF8.GetBytes($"mirror fleet {use}"));
    }

    /// <summary>Whether other replicas can have it too.</summary>
    public bool IsShared { get; }

    /// <summary>The header's value for a request to another replica: good for this method and path, for a minute.</summary>
    public string Sign(string method, string pathAndQuery)
    {
        var now = _time.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        return $"{now}:{Convert.ToHexStringLower(Proof(method, pathAndQuery, now))}";
    }

    /// <summary>Whether a request comes from another replica.</summary>
    public bool IsSigned(string? header, string method, string pathAndQuery)
    {
        if (!IsShared || header?.Split(':') is not [var then, var proof]
            || !long.TryParse(then, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) || seconds > DateTimeOffset.MaxValue.ToUnixTimeSeconds()
            || (_time.GetUtcNow() - DateTimeOffset.FromUnixTimeSeconds(seconds)).Duration() > Leeway)
            return false;
        return CryptographicOperations.FixedTimeEquals(
            Encoding.ASCII.GetBytes(proof), Encoding.ASCII.GetBytes(Convert.ToHexStringLower(Proof(method, pathAndQuery, then))));
    }

    /// <summary>Whether a request that came in is from another replica.</summary>
    public bool IsFromReplica(HttpRequest request) => request.Headers[Header] is [{ } header] && IsSigned(header, request.Method, SignedPart(request));

    /// <summary>What a proof is about, as both sides see it.</summary>
    public static string SignedPart(HttpRequest request) => $"{request.Path}{request.QueryString}";

    /// <summary>A name that tells nothing of what it was made from.</summary>
    public string Name(params ReadOnlySpan<string> parts) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(_names, Encoding.UTF8.GetBytes(string.Join('\0', parts))));

    /// <summary>Encrypts a text so that only replicas can read it, and only where it was put.</summary>
    public byte[] Seal(string place, string text)
    {
        var plain = Encoding.UTF8.GetBytes(text);
        var box = new byte[NonceSize + TagSize + plain.Length];
        var nonce = box.AsSpan(0, NonceSize);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(_seal, TagSize);
        aes.Encrypt(nonce, plain, box.AsSpan(NonceSize + TagSize), box.AsSpan(NonceSize, TagSize), Encoding.UTF8.GetBytes(place));
        return box;
    }

    /// <summary>Reads what <see cref="Seal"/> wrote for that place; false for anything else.</summary>
    public bool TryOpen(string place, byte[]? box, [NotNullWhen(true)] out string? text)
    {
        text = null;
        if (box is null || box.Length < NonceSize + TagSize)
            return false;
        var plain = new byte[box.Length - NonceSize - TagSize];
        try
        {
            using var aes = new AesGcm(_seal, TagSize);
            aes.Decrypt(box.AsSpan(0, NonceSize), box.AsSpan(NonceSize + TagSize), box.AsSpan(NonceSize, TagSize), plain, Encoding.UTF8.GetBytes(place));
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
        text = Encoding.UTF8.GetString(plain);
        return true;
    }

    /// <summary>As <see cref="Seal"/>, in characters that need no quoting in a URL.</summary>
    public string SealText(string place, string text) => Base64Url.EncodeToString(Seal(place, text));

    /// <summary>As <see cref="TryOpen"/>, for what <see cref="SealText"/> wrote.</summary>
    public bool TryOpenText(string place, string? box, [NotNullWhen(true)] out string? text)
    {
        text = null;
        return box is not null && Base64Url.IsValid(box) && TryOpen(place, Base64Url.DecodeFromChars(box), out text);
    }

    private byte[] Proof(string method, string pathAndQuery, string then) =>
        HMACSHA256.HashData(_proof, Encoding.UTF8.GetBytes($"{then}\n{method}\n{pathAndQuery}"));
}
