using System.Buffers;

namespace Mirror.Telemetry;

/// <summary>
/// Apache's combined log format, on stdout. Writing an entry copies a line into memory; a pull never waits for the
/// log's reader. Lines for which a reader that stands still leaves no room are dropped, counted, and told of in the application log.
/// </summary>
public sealed partial class AccessLog : IDisposable
{
    // Printable ASCII without what has a meaning inside quotes.
    private static readonly SearchValues<char> Quotable =
        SearchValues.Create([.. Enumerable.Range(' ', 0x7f - ' ').Select(c => (char)c).Where(c => c is not ('"' or '\\'))]);

    // Outside quotes a blank ends the field.
    private static readonly SearchValues<char> Bare =
        SearchValues.Create([.. Enumerable.Range('!', 0x7f - '!').Select(c => (char)c).Where(c => c is not ('"' or '\\'))]);

    [ThreadStatic]
    private static Utf8Buffer? _line;

    private readonly ILogger _logger;
    private readonly LineSink _sink;

    public AccessLog(RegistryMetrics metrics, ILogger<AccessLog> logger)
        : this(Console.OpenStandardOutput(), metrics, logger)
    {
    }

    internal AccessLog(Stream stream, RegistryMetrics metrics, ILogger logger)
    {
        _logger = logger;
        _sink = new LineSink("access log", stream, TimeSpan.Zero, lines =>
        {
            metrics.AccessLinesDropped(lines);
            LogDropped(lines);
        });
    }

    /// <summary>Takes one entry. Never waits, never fails.</summary>
    public void Write(in AccessEntry entry)
    {
        var line = _line ??= new Utf8Buffer();
        line.Clear();
        Field(line, entry.RemoteAddress, Bare);
        line.Append(" - "u8);
        Field(line, entry.User, Bare);
        line.Append(" ["u8);
        line.Append(entry.Time.UtcDateTime, "dd/MMM/yyyy:HH:mm:ss");
        line.Append(" +0000] \""u8);
        Field(line, entry.Method, Bare);
        line.Append((byte)' ');
        Field(line, entry.Uri, Quotable);
        line.Append((byte)' ');
        Field(line, entry.Protocol, Bare);
        line.Append("\" "u8);
        line.Append(entry.Status);
        line.Append((byte)' ');
        line.Append(entry.Bytes);
        line.Append(" \""u8);
        Field(line, entry.Referer, Quotable);
        line.Append("\" \""u8);
        Field(line, entry.UserAgent, Quotable);
        line.Append("\"\n"u8);
        _sink.Write(line.Written);
    }

    public void Dispose() => _sink.Dispose();

    private static void Field(Utf8Buffer line, ReadOnlySpan<char> text, SearchValues<char> allowed)
    {
        if (text.IsEmpty)
            line.Append((byte)'-');
        else if (!text.ContainsAnyExcept(allowed))
            line.Append(text);
        else
            Escape(line, text, allowed);
    }

    // As Apache does: C's escapes, and \xhh for every other byte that is not printable ASCII.
    private static void Escape(Utf8Buffer line, ReadOnlySpan<char> text, SearchValues<char> allowed)
    {
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.IsAscii && allowed.Contains((char)rune.Value))
            {
                line.Append((byte)rune.Value);
                continue;
            }
            if (line.TryAppendEscape(rune.Value))
                continue;
            foreach (var b in bytes[..rune.EncodeToUtf8(bytes)])
            {
                line.Append("\\x"u8);
                line.Append(b, "x2");
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "access log: {Lines} lines dropped, whoever reads stdout does not keep up")]
    private partial void LogDropped(long lines);
}
