using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace Mirror.Storage;

/// <summary>
/// The name of a repository, such as <c>library/nginx</c>: lower-case components joined by <c>/</c>, 255 characters at most
/// (OCI distribution-spec 1.1.1, "Pulling manifests"). No component of a parsed name consists of dots, so it is safe as a relative path.
/// </summary>
public readonly partial record struct RepositoryName : IComparable<RepositoryName>
{
    /// <summary>The length of the longest valid name, in characters.</summary>
    public const int MaxLength = 255;

    private readonly string? _text;

    private RepositoryName(string text) => _text = text;

    public static bool TryParse([NotNullWhen(true)] string? s, out RepositoryName name)
    {
        var valid = s is { Length: > 0 and <= MaxLength } && Grammar().IsMatch(s);
        name = valid ? new RepositoryName(s!) : default;
        return valid;
    }

    /// <exception cref="FormatException">The text breaks the grammar.</exception>
    public static RepositoryName Parse(string s) =>
        TryParse(s, out var name) ? name : throw new FormatException($"'{s}' is not a valid repository name.");

    /// <summary>The lexical order of the names, which <c>_catalog</c> has (registry:2's API, "Listing Repositories").</summary>
    public int CompareTo(RepositoryName other) => string.CompareOrdinal(ToString(), other.ToString());

    public static bool operator <(RepositoryName left, RepositoryName right) => left.CompareTo(right) < 0;

    public static bool operator >(RepositoryName left, RepositoryName right) => left.CompareTo(right) > 0;

    public static bool operator <=(RepositoryName left, RepositoryName right) => left.CompareTo(right) <= 0;

    public static bool operator >=(RepositoryName left, RepositoryName right) => left.CompareTo(right) >= 0;

    public override string ToString() => _text ?? "";

    [GeneratedRegex(@"\A[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Grammar();
}
