using Mirror.Storage;

namespace Mirror.Schema1;

/// <summary>Content that is part of the program.</summary>
public sealed class BytesContent(byte[] bytes) : Content
{
    public override long? Length => bytes.Length;

    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var rest = bytes.AsMemory((int)Math.Min(offset, bytes.Length));
        rest = rest[..Math.Min(rest.Length, buffer.Length)];
        rest.CopyTo(buffer);
        return new(rest.Length);
    }
}
