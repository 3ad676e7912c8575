using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mirror.Telemetry;

/// <summary>logrus' text form, as <c>registry:2</c> writes it to anything but a terminal.</summary>
internal sealed class TextLines : ILineFormat
{
    // What logrus writes without quotes.
    private static readonly SearchValues<char> Plain =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/@^+");

    private static readonly SearchValues<char> NeedsNoEscape =
        SearchValues.Create([.. Enumerable.Range(' ', 0x7f - ' ').Select(c => (char)c).Where(c => c is not ('"' or '\\'))]);

    public void Write(in LogEvent entry, Utf8Buffer line)
    {
        line.Append("time=\""u8);
        line.Append(entry.Utc, "O");
        line.Append("\" level="u8);
        line.Append(entry.Level);
        line.Append(" msg="u8);
        Text(entry.Message, line);
        foreach (var (key, value) in entry.Fields)
        {
            line.Append((byte)' ');
            line.Append(key);
            line.Append((byte)'=');
            Value(value, line);
        }
    }

    private static void Value(object value, Utf8Buffer line)
    {
        switch (value)
        {
            case int number:
                line.Append(number);
                break;
            case long number:
                line.Append(number);
                break;
            case bool yes:
                line.Append(yes ? "true"u8 : "false"u8);
                break;
            default:
                Text(Convert.ToString(value, CultureInfo.InvariantCulture), line);
                break;
        }
    }

    private static void Text(ReadOnlySpan<char> text, Utf8Buffer line)
    {
        if (!text.ContainsAnyExcept(Plain))
        {
            line.Append(text);
            return;
        }
        line.Append((byte)'"');
        if (!text.ContainsAnyExcept(NeedsNoEscape))
            line.Append(text);
        else
            Escape(text, line);
        line.Append((byte)'"');
    }

    // As Go's %q. A lone surrogate comes out of the enumeration as U+FFFD.
    private static void Escape(ReadOnlySpan<char> text, Utf8Buffer line)
    {
        foreach (var rune in text.EnumerateRunes())
        {
            if (line.TryAppendEscape(rune.Value))
                continue;
            switch (rune.Value)
            {
                case < ' ' or 0x7f:
                    line.Append("\\x"u8);
                    line.Append(rune.Value, "x2");
                    break;
                default:
                    if (IsPrintable(rune))
                    {
                        line.Append(rune);
                        break;
                    }
                    line.Append(rune.IsBmp ? "\\u"u8 : "\\U"u8);
                    line.Append(rune.Value, rune.IsBmp ? "x4" : "x8");
                    break;
            }
        }
    }

    // Other line breaks, and the marks that turn the direction of what follows, are no more welcome than a newline.
    private static bool IsPrintable(Rune rune) => Rune.GetUnicodeCategory(rune) is not
        (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
}
