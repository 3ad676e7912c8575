namespace Mirror.Storage.Buckets.Memory;

/// <summary>The bytes of an object, in pieces, so that a long one needs no long array.</summary>
internal sealed class MemoryObject(byte[][] pieces, DateTimeOffset written)
{
    private const int PieceLength = 1 << 20;

    public long Length { get; } = pieces.Sum(piece => (long)piece.Length);

    public DateTimeOffset Written => written;

    /// <summary>Reads pieces from a stream.</summary>
    public static async ValueTask<byte[][]> ReadAsync(Stream body, long length, CancellationToken cancellationToken)
    {
        var pieces = new byte[(length + PieceLength - 1) / PieceLength][];
        for (var i = 0; i < pieces.Length; i++)
        {
            pieces[i] = GC.AllocateUninitializedArray<byte>((int)Math.Min(PieceLength, length - ((long)i * PieceLength)));
            await body.ReadExactlyAsync(pieces[i], cancellationToken);
        }
        return pieces;
    }

    public byte[] ToArray() => [.. pieces.SelectMany(piece => piece)];

    public Stream Open(long from, long until) => new Reader(pieces, from, Math.Min(until, Length));

    private sealed class Reader : ForwardReadStream
    {
        private readonly byte[][] _pieces;
        private long _left;
        private int _piece;
        private int _at;

        public Reader(byte[][] pieces, long from, long until)
        {
            (_pieces, _left) = (pieces, Math.Max(0, until - from));
            // Parts may be shorter than a piece.
            while (_piece < pieces.Length && from >= pieces[_piece].Length)
                from -= pieces[_piece++].Length;
            _at = (int)from;
        }

        public override int Read(Span<byte> buffer)
        {
            if (_left == 0 || buffer.IsEmpty)
                return 0;
            var piece = _pieces[_piece].AsSpan(_at);
            var read = (int)Math.Min(Math.Min(piece.Length, buffer.Length), _left);
            piece[..read].CopyTo(buffer);
            (_at, _left) = (_at + read, _left - read);
            if (_at == _pieces[_piece].Length)
                (_piece, _at) = (_piece + 1, 0);
            return read;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            new(Read(buffer.Span));
    }
}
