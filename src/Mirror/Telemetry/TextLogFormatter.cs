using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mirror.Telemetry;

/// <summary>logrus' text form, as <c>registry:2</c> writes it to anything but a terminal.</summary>
internal sealed class TextLogFormatter(IReadOnlyDictionary<string, string> fields, bool reportsCaller, TimeProvider time)
    : LogLineFormatter(fields.Select(field => KeyValuePair.Create(field.Key, (object)field.Value)), reportsCaller, time)
{
    // logrus writes these without quotes.
    private static readonly SearchValues<char> Unquoted =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/@^+");

    protected override void Format(
        StringBuilder line, DateTime utc, string level, string message, List<KeyValuePair<string, object>> fields)
    {
        line.Append(CultureInfo.InvariantCulture, $"time=\"{utc:O}\" level={level} msg=");
        AppendText(line, message);
        foreach (var (key, value) in fields)
        {
            // As logrus does with a field that would hide one of its own.
            line.Append(' ').Append(key is "time" or "level" or "msg" ? "fields." : "").Append(key).Append('=');
            if (value is int or long)
                line.Append(CultureInfo.InvariantCulture, $"{value}");
            else if (value is double number)
                line.Append(CultureInfo.InvariantCulture, $"{number:0.######}");
            else if (value is bool flag)
                line.Append(flag ? "true" : "false");
            else
                AppendText(line, Convert.ToString(value, CultureInfo.InvariantCulture));
        }
    }

    private static void AppendText(StringBuilder line, ReadOnlySpan<char> text)
    {
        if (!text.ContainsAnyExcept(Unquoted))
        {
            line.Append(text);
            return;
        }
        line.Append('"');
        if (!text.ContainsAnyExcept(LineEscapes.Quotable))
            line.Append(text);
        else
            foreach (var rune in text.EnumerateRunes())
                AppendEscaped(line, rune);
        line.Append('"');
    }

    // As Go's %q. EnumerateRunes turns a lone surrogate into U+FFFD.
    private static void AppendEscaped(StringBuilder line, Rune rune)
    {
        if (LineEscapes.Of(rune) is { } escape)
            line.Append(escape);
        else if (rune.Value is < ' ' or 0x7f)
            line.Append(CultureInfo.InvariantCulture, $"\\x{rune.Value:x2}");
        else if (IsPrintable(rune))
            line.Append(rune);
        else if (rune.IsBmp)
            line.Append(CultureInfo.InvariantCulture, $"\\u{rune.Value:x4}");
        else
            line.Append(CultureInfo.InvariantCulture, $"\\U{rune.Value:x8}");
    }

    // Unicode's other line breaks, and its marks that turn the direction of text, could forge a line as a newline could.
    private static bool IsPrintable(Rune rune) => Rune.GetUnicodeCategory(rune) is not
        (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
}
