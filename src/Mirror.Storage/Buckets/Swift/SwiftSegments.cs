using System.Security.Cryptography;
using System.Text;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>
/// The names of segments, which are those of <c>registry:2</c>: <c>segments/</c>, then the hexadecimal digits of a path, 32 random bytes
/// and the SHA-1 of nothing, with a slash after the third digit, then the number of the segment. <c>registry:2</c> uses the path of the
/// upload, and this program the final path. So a sweep can tell to which object segments belong.
/// </summary>
internal static class SwiftSegments
{
    /// <summary>What every folder begins with, below the root of the settings.</summary>
    public const string Top = "segments/";

    private const int Random = 32;

    // The SHA-1 of nothing.
    private static readonly byte[] End = Convert.FromHexString("da39a3ee5e6b4b0d3255bfef95601890afd80709");

    /// <summary>A new folder for the segments of an object, below the root of the settings, without a slash at its end.</summary>
    public static string NewFolder(string path) =>
        Split(Convert.ToHexStringLower([.. Encoding.UTF8.GetBytes($"/{path}"), .. RandomNumberGenerator.GetBytes(Random), .. End]));

    /// <summary>What the folders of the objects below a folder begin with.</summary>
    public static string Prefix(string folder) => Split(Convert.ToHexStringLower(Encoding.UTF8.GetBytes($"/{folder}/")));

    /// <summary>The path of the object to which a folder belongs; null if this program did not name the folder.</summary>
    public static string? PathOf(string folder)
    {
        var hex = folder[Top.Length..].Replace("/", "", StringComparison.Ordinal);
        if (hex.Length % 2 != 0 || hex.Length / 2 <= Random + End.Length || !hex.All(char.IsAsciiHexDigitLower))
            return null;
        var bytes = Convert.FromHexString(hex);
        return bytes[0] == '/' && bytes.AsSpan().EndsWith(End) ? Encoding.UTF8.GetString(bytes[1..^(Random + End.Length)]) : null;
    }

    /// <summary>The name of a segment in its folder; the first is 1.</summary>
    public static string Name(string folder, int number) => $"{folder}/{number:D16}";

    private static string Split(string hex) => $"{Top}{hex[..3]}/{hex[3..]}";
}
