using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mirror.Telemetry;

/// <summary>A growing piece of UTF-8 text, used again and again: for a log line, for a scrape.</summary>
internal sealed class Utf8Buffer : IBufferWriter<byte>
{
    // What is kept between uses; one enormous line must not be paid for until the process ends.
    private const int MaxKept = 64 * 1024;

    private byte[] _bytes = new byte[1024];
    private int _length;

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

    public void Clear()
    {
        _length = 0;
        if (_bytes.Length > MaxKept)
            _bytes = new byte[1024];
    }

    public void Append(ReadOnlySpan<byte> utf8)
    {
        utf8.CopyTo(GetSpan(utf8.Length));
        _length += utf8.Length;
    }

    public void Append(ReadOnlySpan<char> text)
    {
        var free = GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length));
        _length += Encoding.UTF8.GetBytes(text, free);
    }

    /// <summary>Appends the escape that a character has in both logs, such as <c>\\n</c>; false where it has none of its own.</summary>
    public bool TryAppendEscape(int character)
    {
        ReadOnlySpan<byte> escape = character switch
        {
            '"' => "\\\""u8,
            '\\' => "\\\\"u8,
            '\n' => "\\n"u8,
            '\r' => "\\r"u8,
            '\t' => "\\t"u8,
            _ => [],
        };
        Append(escape);
        return !escape.IsEmpty;
    }

    public void Append(byte ascii)
    {
        GetSpan(1)[0] = ascii;
        _length++;
    }

    public void Append(Rune rune) => _length += rune.EncodeToUtf8(GetSpan(4));

    public void Append<T>(T value, ReadOnlySpan<char> format = default) where T : IUtf8SpanFormattable
    {
        var asked = 32;
        int written;
        while (!value.TryFormat(GetSpan(asked), out written, format, CultureInfo.InvariantCulture))
            asked = Math.Max(asked * 2, _bytes.Length - _length + 1);
        _length += written;
    }

    public void Advance(int count) => _length += count;

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsSpan(_length);
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsMemory(_length);
    }

    private void Reserve(int more)
    {
        if (_bytes.Length - _length < Math.Max(more, 1))
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _length + more));
    }
}
