using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Mirror.Storage;

/// <summary>
/// The name of content: a hash algorithm and the hash of the bytes, written <c>sha256:&lt;64 hex&gt;</c> or
/// <c>sha512:&lt;128 hex&gt;</c> (OCI image-spec, descriptor, "Digests"). Other algorithms are not supported.
/// </summary>
public readonly record struct Digest
{
    /// <summary>How a digest is written, for messages to people.</summary>
    public const string Format = "sha256:<64 hex> or sha512:<128 hex>, lower case";

    private static readonly SearchValues<char> LowerHex = SearchValues.Create("0123456789abcdef");

    private static readonly SearchValues<char> AlgorithmLetters = SearchValues.Create("0123456789abcdefghijklmnopqrstuvwxyz+._-");

    private static readonly SearchValues<char> EncodedLetters =
        SearchValues.Create("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=_-");

    private readonly string? _text;

    /// <summary>The supported algorithms.</summary>
    public static IReadOnlyList<string> Algorithms { get; } = ["sha256", "sha512"];

    private Digest(string text) => _text = text;

    /// <summary><c>sha256</c> or <c>sha512</c>.</summary>
    public string Algorithm => Text[..6];

    /// <summary>The hash in lower-case hexadecimal: 64 or 128 characters.</summary>
    public string Hex => Text[7..];

    private string Text => _text ?? throw new InvalidOperationException("A default Digest names no content.");

    /// <summary>A new hash computation of this digest's own algorithm.</summary>
    public IncrementalHash NewHash() => NewHash(Algorithm);

    /// <summary>A new hash computation.</summary>
    /// <param name="algorithm"><c>sha256</c> or <c>sha512</c>.</param>
    /// <exception cref="ArgumentException">The algorithm is neither.</exception>
    public static IncrementalHash NewHash(string algorithm) => algorithm switch
    {
        "sha256" => IncrementalHash.CreateHash(HashAlgorithmName.SHA256),
        "sha512" => IncrementalHash.CreateHash(HashAlgorithmName.SHA512),
        _ => throw new ArgumentException($"The digest algorithm '{algorithm}' is not supported; use sha256 or sha512.", nameof(algorithm)),
    };

    /// <summary>The digest of these bytes.</summary>
    /// <param name="algorithm"><c>sha256</c> or <c>sha512</c>.</param>
    /// <exception cref="ArgumentException">The algorithm is neither.</exception>
    public static Digest Of(ReadOnlySpan<byte> bytes, string algorithm = "sha256")
    {
        using var hash = NewHash(algorithm);
        hash.AppendData(bytes);
        return FromHash(algorithm, hash.GetCurrentHash());
    }

    /// <summary>The digest of a finished hash; <paramref name="hash"/> is 32 bytes for sha256, 64 for sha512.</summary>
    public static Digest FromHash(string algorithm, ReadOnlySpan<byte> hash) =>
        new($"{algorithm}:{Convert.ToHexStringLower(hash)}");

    public static bool TryParse([NotNullWhen(true)] string? s, out Digest digest)
    {
        var valid = s is { Length: 71 } && s.StartsWith("sha256:", StringComparison.Ordinal)
            || s is { Length: 135 } && s.StartsWith("sha512:", StringComparison.Ordinal);
        // Upper-case hex is refused: two spellings would give one content two names.
        valid = valid && !s.AsSpan(7).ContainsAnyExcept(LowerHex);
        digest = valid ? new Digest(s!) : default;
        return valid;
    }

    /// <summary>Whether a text is the digest of an algorithm that is not supported, so that nothing is stored under it.</summary>
    public static bool IsUnsupported([NotNullWhen(true)] string? s) => s?.Split(':') is [{ Length: > 0 } algorithm, { Length: > 0 } encoded]
        && !Algorithms.Contains(algorithm) && !algorithm.AsSpan().ContainsAnyExcept(AlgorithmLetters)
        && !encoded.AsSpan().ContainsAnyExcept(EncodedLetters);

    /// <exception cref="FormatException">The text is not a digest of a supported algorithm.</exception>
    public static Digest Parse(string s) =>
        TryParse(s, out var digest) ? digest : throw new FormatException($"'{s}' is not a digest: {Format}.");

    public override string ToString() => _text ?? "";
}
