using System.Text.RegularExpressions;

namespace Mirror.PullThrough;

/// <summary>A pattern of repository names or tags: <c>**</c> stands for anything, <c>*</c> for anything without a slash.</summary>
internal sealed class NamePattern(string pattern)
{
    private readonly Regex _regex = new(
        $@"\A{Regex.Escape(pattern).Replace(@"\*\*", ".*", StringComparison.Ordinal).Replace(@"\*", "[^/]*", StringComparison.Ordinal)}\z",
        RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);

    public bool IsMatch(string text) => _regex.IsMatch(text);

    public static bool AnyMatches(NamePattern[] patterns, string text) => Array.Exists(patterns, pattern => pattern.IsMatch(text));
}
