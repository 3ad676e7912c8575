using Mirror.Storage;

namespace Mirror.Import;

/// <summary>Reads a stream, and writes all that is read to another one too.</summary>
internal sealed class CopyingStream(Stream source, Stream copy) : ForwardReadStream
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await source.ReadAsync(buffer, cancellationToken);
        copy.Write(buffer.Span[..read]);
        return read;
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        var read = source.Read(buffer, offset, count);
        copy.Write(buffer, offset, read);
        return read;
    }
}
