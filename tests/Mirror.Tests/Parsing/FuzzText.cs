using System.Buffers;
using System.Text;

namespace Mirror.Tests.Parsing;

/// <summary>
/// Inputs of parsers. Bytes that are not UTF-8 become halves of surrogate pairs (U+DC80 to U+DCFF), and become those bytes again: so a
/// text can have any bytes, and bytes can have any text.
/// </summary>
internal static class FuzzText
{
    private const int Escape = 0xDC00;

    /// <summary>Pieces that mean something to some parser, and characters at the edges of their kinds.</summary>
    public static readonly string[] Pieces =
    [
        "", "/", "//", "..", ":", "@", "=", ",", ";", "\"", "\\", "<", ">", "-", "%", "%00", "%2f", "\0", "\r\n", "\n", "\t", " ",
        "\u00e9", "\ud800", "\uffff", "0", "-1", "9223372036854775807", "9223372036854775808", "1e999", "NaN", "null", "true",
        "{", "}", "[", "]", "{}", "[[[[", "&a", "*a", "<<", "!!", "sha256:", ParserInputs.Hex, "bytes=", "bytes 0-1/2", "Bearer ",
        "realm=", "rel=next", "*", "::1", "10.0.0.0/8", "h", "ns", "\\ud800", "\u212a", "\n\n",
    ];

    public static string Of(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        while (bytes.Length > 0)
        {
            if (Rune.DecodeFromUtf8(bytes, out var rune, out var length) == OperationStatus.Done)
                text.Append(rune.ToString());
            else
                foreach (var other in bytes[..length])
                    text.Append((char)(Escape + other));
            bytes = bytes[length..];
        }
        return text.ToString();
    }

    public static byte[] Bytes(string text)
    {
        var bytes = new MemoryStream(text.Length);
        Span<byte> utf8 = stackalloc byte[4];
        for (ReadOnlySpan<char> rest = text; rest.Length > 0;)
            if (rest[0] is >= (char)(Escape + 0x80) and <= (char)(Escape + 0xFF))
            {
                bytes.WriteByte((byte)(rest[0] - Escape));
                rest = rest[1..];
            }
            else
            {
                // Other halves of pairs become U+FFFD.
                Rune.DecodeFromUtf16(rest, out var rune, out var length);
                bytes.Write(utf8[..rune.EncodeToUtf8(utf8)]);
                rest = rest[length..];
            }
        return bytes.ToArray();
    }

    /// <summary>An input with one to three random changes.</summary>
    public static string Changed(string input, Random random)
    {
        var text = new StringBuilder(input);
        for (var changes = random.Next(1, 4); changes > 0; changes--)
        {
            var at = random.Next(text.Length + 1);
            var length = random.Next(Math.Min(8, text.Length - at) + 1);
            switch (random.Next(4))
            {
                case 0:
                    text.Insert(at, Pieces[random.Next(Pieces.Length)]);
                    break;
                case 1:
                    text.Remove(at, length);
                    break;
                case 2:
                    text.Insert(at, text.ToString(at, length));
                    break;
                default:
                    text.Remove(at, length).Insert(at, (char)random.Next(random.Next(2) == 0 ? 128 : 0xD800));
                    break;
            }
        }
        return text.ToString();
    }
}
