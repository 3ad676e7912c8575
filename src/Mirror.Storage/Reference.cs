using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace Mirror.Storage;

/// <summary>The part of a URL after <c>manifests/</c>: a tag or a digest.</summary>
public readonly partial record struct Reference
{
    private readonly string? _tag;
    private readonly Digest _digest;

    private Reference(string? tag, Digest digest) => (_tag, _digest) = (tag, digest);

    /// <summary>A reference to content by its digest.</summary>
    public static implicit operator Reference(Digest digest) => FromDigest(digest);

    /// <summary>A reference to content by its digest.</summary>
    public static Reference FromDigest(Digest digest) => new(null, digest);

    /// <summary>Whether this is a tag; then <paramref name="tag"/> is its name, otherwise <paramref name="digest"/> is set.</summary>
    public bool IsTag([NotNullWhen(true)] out string? tag, out Digest digest)
    {
        (tag, digest) = (_tag, _digest);
        return tag is not null;
    }

    /// <summary>True where the text is a tag: one word character, then at most 127 word characters, dots and hyphens.</summary>
    public static bool IsTagName([NotNullWhen(true)] string? s) => s is not null && TagGrammar().IsMatch(s);

    public static bool TryParse([NotNullWhen(true)] string? s, out Reference reference)
    {
        if (Digest.TryParse(s, out var digest))
            reference = new Reference(null, digest);
        else if (IsTagName(s))
            reference = new Reference(s, default);
        else
        {
            reference = default;
            return false;
        }
        return true;
    }

    /// <exception cref="FormatException">The text is neither a tag nor a digest.</exception>
    public static Reference Parse(string s) =>
        TryParse(s, out var reference) ? reference : throw new FormatException($"'{s}' is neither a tag nor a digest.");

    public override string ToString() => _tag ?? _digest.ToString();

    [GeneratedRegex(@"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\z", RegexOptions.CultureInvariant)]
    private static partial Regex TagGrammar();
}
