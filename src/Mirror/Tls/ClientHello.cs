using System.Buffers.Binary;
using System.Text;

namespace Mirror.Tls;

/// <summary>The first message of a client's handshake (RFC 8446, 4.1.2), as far as it decides what the client is answered with.</summary>
internal static class ClientHello
{
    private const int RecordHeader = 5;
    private const int MaxRecord = 1 << 14;
    private const byte Handshake = 22, Hello = 1;
    private const ushort ServerName = 0, Protocols = 16, SupportedVersions = 43;
    private const ushort Tls13 = 0x0304;

    /// <summary>How many bytes the first record of a connection has; null where more bytes are needed to know, 0 where it is no
    /// handshake.</summary>
    public static int? LengthOf(ReadOnlySpan<byte> start) =>
        start is [not Handshake, ..] ? 0
        : start.Length < RecordHeader ? null
        : BinaryPrimitives.ReadUInt16BigEndian(start[3..]) is var length and <= MaxRecord ? RecordHeader + length
        : 0;

    /// <summary>The name that the client asks for, and the protocols that it offers; both empty where the message cannot be read.</summary>
    public static (string Host, IReadOnlyList<string> Protocols) Read(ReadOnlySpan<byte> record)
    {
        var (host, protocols) = ("", new List<string>());
        try
        {
            var content = Extension(record, ServerName);
            var names = content.IsEmpty ? [] : Take(ref content, 2);
            // 0 is the only kind of name there is.
            if (names is [0, ..])
            {
                names = names[1..];
                host = Encoding.ASCII.GetString(Take(ref names, 2));
            }
            content = Extension(record, Protocols);
            if (!content.IsEmpty)
                for (var list = Take(ref content, 2); list.Length > 0;)
                    protocols.Add(Encoding.ASCII.GetString(Take(ref list, 1)));
        }
        catch (Exception end) when (IsEnd(end))
        {
            return ("", []);
        }
        return (host, protocols);
    }

    /// <summary>Whether the client offers TLS 1.3 (RFC 8446, 4.2.1); false where the message cannot be read.</summary>
    public static bool OffersTls13(ReadOnlySpan<byte> record)
    {
        try
        {
            var content = Extension(record, SupportedVersions);
            if (!content.IsEmpty)
                for (var list = Take(ref content, 1); list.Length > 1; list = list[2..])
                    if (BinaryPrimitives.ReadUInt16BigEndian(list) == Tls13)
                        return true;
        }
        catch (Exception end) when (IsEnd(end))
        {
            return false;
        }
        return false;
    }

    // What an extension contains; empty where the message does not have it.
    private static ReadOnlySpan<byte> Extension(ReadOnlySpan<byte> record, ushort wanted)
    {
        if (record.IsEmpty)
            return [];
        var hello = record[RecordHeader..];
        if (hello[0] != Hello)
            return [];
        // The type and length of the message, the version and the random bytes.
        hello = hello[(4 + 2 + 32)..];
        Take(ref hello, 1);
        Take(ref hello, 2);
        Take(ref hello, 1);
        var extensions = Take(ref hello, 2);
        while (extensions.Length > 0)
        {
            var type = BinaryPrimitives.ReadUInt16BigEndian(extensions);
            extensions = extensions[2..];
            var content = Take(ref extensions, 2);
            if (type == wanted)
                return content;
        }
        return [];
    }

    // The message is shorter than its lengths say.
    private static bool IsEnd(Exception failure) => failure is ArgumentOutOfRangeException or IndexOutOfRangeException;

    // A part behind its length.
    private static ReadOnlySpan<byte> Take(scoped ref ReadOnlySpan<byte> rest, int lengthSize)
    {
        var length = lengthSize == 1 ? rest[0] : BinaryPrimitives.ReadUInt16BigEndian(rest);
        var part = rest.Slice(lengthSize, length);
        rest = rest[(lengthSize + length)..];
        return part;
    }
}
