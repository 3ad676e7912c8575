using System.Buffers;
using System.Text;

namespace Mirror.Telemetry;

/// <summary>What the access log and the text form of the application log escape alike inside quotes.</summary>
internal static class LineEscapes
{
    /// <summary>Printable ASCII without the quote and the backslash: these need no escape.</summary>
    public static readonly SearchValues<char> Quotable =
        SearchValues.Create([.. Enumerable.Range(' ', 0x7f - ' ').Select(c => (char)c).Where(c => c is not ('"' or '\\'))]);

    /// <summary>A character's short escape, such as <c>\n</c>; null where it has none.</summary>
    public static string? Of(Rune character) => character.Value switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => null,
    };
}
