using System.Text;
using System.Text.RegularExpressions;

namespace Mirror.Configuration.Reading;

/// <summary>
/// Patterns of <c>validation.manifests.urls</c> in Go's syntax. .NET refuses <c>(?P&lt;name&gt;...)</c>. It accepts <c>[[:alpha:]]</c>, but
/// with another meaning: a list of forbidden URLs would forbid none of them.
/// </summary>
internal static partial class GoPattern
{
    /// <summary>The same pattern in the syntax of .NET.</summary>
    /// <exception cref="ArgumentException">The pattern has a class in brackets that Go does not know.</exception>
    public static string Translate(string pattern)
    {
        var text = new StringBuilder();
        var isInBrackets = false;
        for (var i = 0; i < pattern.Length; i++)
        {
            var rest = pattern.AsSpan(i);
            if (pattern[i] is '\\' && i + 1 < pattern.Length)
                text.Append(pattern[i++]).Append(pattern[i]);
            else if (isInBrackets && Class().Match(pattern, i) is { Success: true } named)
            {
                text.Append(Letters(named.Groups["name"].Value, named.Groups["not"].Length > 0));
                i += named.Length - 1;
            }
            else if (!isInBrackets && rest.StartsWith("(?P<", StringComparison.Ordinal))
            {
                text.Append("(?<");
                i += "(?P<".Length - 1;
            }
            else if (!isInBrackets && pattern[i] is '[')
            {
                // A bracket at the beginning is one of the characters: []abc].
                var begin = BracketBegin().Match(pattern, i).Value;
                text.Append(begin.TrimEnd(']')).Append(begin.EndsWith(']') ? @"\]" : "");
                i += begin.Length - 1;
                isInBrackets = true;
            }
            else
            {
                isInBrackets = isInBrackets && pattern[i] is not ']';
                // To .NET a bracket may begin a subtraction: [a-z-[aeiou]].
                text.Append(isInBrackets && pattern[i] is '[' ? @"\[" : pattern[i].ToString());
            }
        }
        return text.ToString();
    }

    private static string Letters(string name, bool isNegated) => (name, isNegated) switch
    {
        ("alnum", false) => "0-9A-Za-z",
        ("alpha", false) => "A-Za-z",
        ("ascii", false) => @"\x00-\x7F",
        ("blank", false) => @"\t ",
        ("cntrl", false) => @"\x00-\x1F\x7F",
        ("digit", false) => "0-9",
        ("graph", false) => @"\x21-\x7E",
        ("lower", false) => "a-z",
        ("print", false) => @"\x20-\x7E",
        ("punct", false) => @"\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7E",
        ("space", false) => @"\t\n\v\f\r ",
        ("upper", false) => "A-Z",
        ("word", false) => "0-9A-Za-z_",
        ("xdigit", false) => "0-9A-Fa-f",
        _ => throw new ArgumentException($"[:{(isNegated ? "^" : "")}{name}:] cannot be used in a pattern here.", nameof(name)),
    };

    [GeneratedRegex(@"\G\[:(?<not>\^?)(?<name>[^\]:]*):\]", RegexOptions.CultureInvariant)]
    private static partial Regex Class();

    [GeneratedRegex(@"\G\[\^?\]?", RegexOptions.CultureInvariant)]
    private static partial Regex BracketBegin();
}
