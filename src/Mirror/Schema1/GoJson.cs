using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Mirror.Schema1;

/// <summary>
/// Writes JSON to the byte as Go's encoding/json does. The digest of a converted manifest is the digest of such bytes, and must be the same
/// on every server, <c>registry:2</c> among them.
/// </summary>
internal static partial class GoJson
{
    /// <summary>What Go writes for a time that was never set.</summary>
    private const string NoTime = "0001-01-01T00:00:00Z";

    public static StringBuilder AppendText(this StringBuilder json, string text)
    {
        json.Append('"');
        foreach (var c in text)
            Append(json, c);
        return json.Append('"');
    }

    /// <summary>A value as it stands in its source, without the white space between its parts.</summary>
    public static StringBuilder AppendCompact(this StringBuilder json, JsonElement value)
    {
        var (isInText, isEscaped) = (false, false);
        foreach (var c in value.GetRawText())
        {
            if (!isInText && c is ' ' or '\t' or '\r' or '\n')
                continue;
            if (c is '<' or '>' or '&' or '\u2028' or '\u2029')
                Append(json, c);
            else
                json.Append(c);
            if (c == '"' && !isEscaped)
                isInText = !isInText;
            isEscaped = c == '\\' && !isEscaped;
        }
        return json;
    }

    /// <summary>A time of RFC 3339, as Go writes it again.</summary>
    /// <exception cref="FormatException">It is not a time.</exception>
    public static string Time(string? text)
    {
        if (text is null)
            return NoTime;
        var parts = Rfc3339().Match(text);
        if (!parts.Success)
            throw new FormatException($"'created' is '{text}', which is not a time of RFC 3339");
        var fraction = parts.Groups["fraction"].Value.TrimEnd('0');
        var zone = parts.Groups["zone"].Value;
        return $"{parts.Groups["seconds"].Value}{(fraction is "" or "." ? "" : fraction)}{(zone is "+00:00" or "-00:00" ? "Z" : zone)}";
    }

    private static void Append(StringBuilder json, char c) => _ = c switch
    {
        '"' or '\\' => json.Append('\\').Append(c),
        '\n' => json.Append("\\n"),
        '\r' => json.Append("\\r"),
        '\t' => json.Append("\\t"),
        < ' ' or '<' or '>' or '&' or '\u2028' or '\u2029' => json.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
        _ => json.Append(c),
    };

    [GeneratedRegex(
        @"\A(?<seconds>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?<fraction>\.\d{1,9})?(?<zone>Z|[+-]\d\d:\d\d)\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Rfc3339();
}
