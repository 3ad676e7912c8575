using System.Text.RegularExpressions;

namespace Mirror.Repositories;

/// <summary>A pattern of repository names or tags: <c>**</c> stands for anything, <c>*</c> for anything without a slash.</summary>
internal sealed class NamePattern(string pattern)
{
    // A backtracking one: it starts in a tenth of the time, patterns are the operator's own, and names have an end.
    private readonly Regex _regex = new(
        $@"\A{Regex.Escape(pattern).Replace(@"\*\*", ".*", StringComparison.Ordinal).Replace(@"\*", "[^/]*", StringComparison.Ordinal)}\z",
        RegexOptions.CultureInvariant | RegexOptions.Singleline);

    public bool IsMatch(string text) => _regex.IsMatch(text);

    public static bool AnyMatches(NamePattern[] patterns, string text) => Array.Exists(patterns, pattern => pattern.IsMatch(text));
}
