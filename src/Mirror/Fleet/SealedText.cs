using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Mirror.Fleet;

/// <summary>Encrypts texts (AES-256-GCM): only the holders of the key can read a text, and only for the place that it was encrypted
/// for.</summary>
/// <param name="key">32 bytes.</param>
public sealed class SealedText(byte[] key)
{
    private const int NonceSize = 12;
    private const int TagSize = 16;

    /// <summary>Encrypts a text.</summary>
    /// <param name="place">Where it belongs, such as the name of an entry in Redis.</param>
    public byte[] Seal(string place, string text)
    {
        var plain = Encoding.UTF8.GetBytes(text);
        var box = new byte[NonceSize + TagSize + plain.Length];
        var nonce = box.AsSpan(0, NonceSize);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(key, TagSize);
        aes.Encrypt(nonce, plain, box.AsSpan(NonceSize + TagSize), box.AsSpan(NonceSize, TagSize), Encoding.UTF8.GetBytes(place));
        return box;
    }

    /// <summary>Decrypts what <see cref="Seal"/> returned for this place; false for anything else.</summary>
    public bool TryOpen(string place, byte[]? box, [NotNullWhen(true)] out string? text)
    {
        text = null;
        if (box is null || box.Length < NonceSize + TagSize)
            return false;
        var plain = new byte[box.Length - NonceSize - TagSize];
        try
        {
            using var aes = new AesGcm(key, TagSize);
            var about = Encoding.UTF8.GetBytes(place);
            aes.Decrypt(box.AsSpan(0, NonceSize), box.AsSpan(NonceSize + TagSize), box.AsSpan(NonceSize, TagSize), plain, about);
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
        text = Encoding.UTF8.GetString(plain);
        return true;
    }
}
