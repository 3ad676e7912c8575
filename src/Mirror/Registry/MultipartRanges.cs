using System.Text;

namespace Mirror.Registry;

/// <summary>The bytes around the parts of an answer with several ranges: <c>multipart/byteranges</c> (RFC 9110, 14.6).</summary>
internal sealed class MultipartRanges
{
    private readonly byte[][] _heads;

    /// <param name="parts">Two or more.</param>
    /// <param name="length">The length of the whole in bytes.</param>
    /// <param name="mediaType">The type of the whole.</param>
    public MultipartRanges(IReadOnlyList<ByteRange> parts, long length, string mediaType)
    {
        // Random, because a blob could contain any boundary that can be guessed.
        var boundary = Guid.NewGuid().ToString("N");
        _heads =
        [
            .. parts.Select((part, i) => Encoding.ASCII.GetBytes(
                $"{(i == 0 ? "" : "\r\n")}--{boundary}\r\nContent-Type: {mediaType}\r\n"
                + $"Content-Range: bytes {part.From}-{part.End - 1}/{length}\r\n\r\n")),
        ];
        (Parts, ContentType) = (parts, $"multipart/byteranges; boundary={boundary}");
        End = Encoding.ASCII.GetBytes($"\r\n--{boundary}--\r\n");
        ContentLength = _heads.Sum(head => (long)head.Length) + parts.Sum(part => part.End - part.From) + End.Length;
    }

    public IReadOnlyList<ByteRange> Parts { get; }

    public string ContentType { get; }

    /// <summary>The length of the whole body in bytes.</summary>
    public long ContentLength { get; }

    /// <summary>The end of the body.</summary>
    public byte[] End { get; }

    /// <summary>The boundary and the headers before the bytes of a part.</summary>
    public byte[] HeadOf(int part) => _heads[part];
}
