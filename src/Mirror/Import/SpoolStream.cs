using System.Buffers.Binary;
using System.Security.Cryptography;
using Mirror.Storage;
using Mirror.Storage.Spooling;

namespace Mirror.Import;

/// <summary>Writes to a spool, and computes the digest of what is written.</summary>
internal sealed class SpoolStream(Spool spool) : Stream
{
    private readonly IncrementalHash _hash = Digest.NewHash("sha256");
    private readonly byte[] _end = new byte[sizeof(uint)];

    public override bool CanRead => false;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => spool.Length;
    public override long Position { get => spool.Length; set => throw new NotSupportedException(); }

    /// <summary>The last four bytes as a number, least significant byte first.</summary>
    public uint End => BinaryPrimitives.ReadUInt32LittleEndian(_end);

    /// <summary>The digest of all bytes. Call it once, after the last one.</summary>
    public Digest TakeDigest() => Digest.FromHash("sha256", _hash.GetHashAndReset());

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        _hash.AppendData(buffer);
        spool.Append(buffer);
        var end = buffer[^Math.Min(buffer.Length, _end.Length)..];
        _end.AsSpan(end.Length).CopyTo(_end);
        end.CopyTo(_end.AsSpan(_end.Length - end.Length));
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _hash.Dispose();
        base.Dispose(disposing);
    }
}
