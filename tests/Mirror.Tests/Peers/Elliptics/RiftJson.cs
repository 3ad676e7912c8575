using System.Globalization;
using System.Text;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>
/// Writes JSON as Rift's library does: texts are bytes and come as they are, even where they are not UTF-8. The data of the index of all
/// keys is MessagePack, for example.
/// </summary>
internal static class RiftJson
{
    /// <param name="value">
    /// Texts, bytes (a text that need not be UTF-8), whole numbers, sequences of names with values (objects) and arrays of values.
    /// </param>
    public static byte[] Write(object value)
    {
        // One character is one byte.
        var text = new StringBuilder();
        Append(text, value, 0);
        return Encoding.Latin1.GetBytes(text.Append('\n').ToString());
    }

    private static void Append(StringBuilder text, object value, int depth)
    {
        switch (value)
        {
            case string word:
                AppendText(text, Encoding.UTF8.GetBytes(word));
                break;
            case byte[] bytes:
                AppendText(text, bytes);
                break;
            case long number:
                text.Append(number.ToString(CultureInfo.InvariantCulture));
                break;
            case IEnumerable<(string Name, object Value)> members:
                AppendAll(text, '{', '}', members.ToArray(), depth, member =>
                {
                    AppendText(text, Encoding.UTF8.GetBytes(member.Name));
                    text.Append(": ");
                    Append(text, member.Value, depth + 1);
                });
                break;
            case object[] items:
                AppendAll(text, '[', ']', items, depth, item => Append(text, item, depth + 1));
                break;
            default:
                throw new ArgumentException($"A {value.GetType().Name} cannot be written.", nameof(value));
        }
    }

    private static void AppendAll<T>(StringBuilder text, char open, char close, T[] items, int depth, Action<T> append)
    {
        text.Append(open);
        for (var at = 0; at < items.Length; at++)
        {
            text.Append(at == 0 ? "\n" : ",\n").Append(' ', 4 * (depth + 1));
            append(items[at]);
        }
        if (items.Length > 0)
            text.Append('\n').Append(' ', 4 * depth);
        text.Append(close);
    }

    private static void AppendText(StringBuilder text, byte[] bytes)
    {
        text.Append('"');
        foreach (var one in bytes)
            _ = (char)one switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append(@"\\"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                < ' ' => text.Append(CultureInfo.InvariantCulture, $"\\u{one:X4}"),
                var other => text.Append(other),
            };
        text.Append('"');
    }
}
