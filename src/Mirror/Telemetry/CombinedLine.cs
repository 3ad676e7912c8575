using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mirror.Telemetry;

/// <summary>A line of the access log in Apache's combined format.</summary>
internal static class CombinedLine
{
    // Outside quotes a blank ends the field.
    private static readonly SearchValues<char> Unquoted =
        SearchValues.Create([.. Enumerable.Range('!', 0x7f - '!').Select(c => (char)c).Where(c => c is not ('"' or '\\'))]);

    [ThreadStatic]
    private static StringBuilder? _line;

    /// <summary>The line, in ASCII and with its end. It is good until this thread's next call.</summary>
    public static StringBuilder Of(in CompletedRequest request)
    {
        var line = _line ??= new StringBuilder(512);
        line.Clear();
        AppendField(line, request.RemoteAddress, Unquoted);
        line.Append(" - ");
        AppendField(line, request.User, Unquoted);
        line.Append(CultureInfo.InvariantCulture, $" [{request.Time.UtcDateTime:dd/MMM/yyyy:HH:mm:ss} +0000] \"");
        AppendField(line, request.Method, Unquoted);
        line.Append(' ');
        AppendField(line, request.Uri, LineEscapes.Quotable);
        line.Append(' ');
        AppendField(line, request.Protocol, Unquoted);
        line.Append(CultureInfo.InvariantCulture, $"\" {request.Status} {request.Written} \"");
        AppendField(line, request.Referer, LineEscapes.Quotable);
        line.Append("\" \"");
        AppendField(line, request.UserAgent, LineEscapes.Quotable);
        return line.Append("\"\n");
    }

    private static void AppendField(StringBuilder line, ReadOnlySpan<char> text, SearchValues<char> allowed)
    {
        if (text.IsEmpty)
            line.Append('-');
        else if (!text.ContainsAnyExcept(allowed))
            line.Append(text);
        else
            AppendEscaped(line, text, allowed);
    }

    // As Apache does: C's escapes, and \xhh for every other byte that is not printable ASCII.
    private static void AppendEscaped(StringBuilder line, ReadOnlySpan<char> text, SearchValues<char> allowed)
    {
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.IsAscii && allowed.Contains((char)rune.Value))
                line.Append((char)rune.Value);
            else if (LineEscapes.Of(rune) is { } escape)
                line.Append(escape);
            else
                foreach (var b in bytes[..rune.EncodeToUtf8(bytes)])
                    line.Append(CultureInfo.InvariantCulture, $"\\x{b:x2}");
        }
    }
}
