namespace Mirror.Storage.Buckets;

/// <summary>
/// The next pieces of an object, each read from a connection of its own: many stores give one connection less than the network could
/// transfer. If the reader is slow, the pieces wait for it, and no more are asked for. All readers of a bucket share a fixed number of
/// buffers; a reader that gets none uses one connection.
/// </summary>
internal sealed class ReadAhead : IAsyncDisposable
{
    public const int PieceLength = 2 << 20;

    // In addition to the one that the reader takes directly from its connection.
    public const int MaxPieces = 3;

    /// <summary>How many pieces all readers of a bucket together may hold in memory.</summary>
    public const int MaxBuffers = 8;

    private readonly BucketReads _reads;
    private readonly string _path;
    private readonly long _until;
    private readonly Queue<Piece> _pieces = new();
    private readonly CancellationTokenSource _stop = new();
    private long _next;

    private ReadAhead(BucketReads reads, string path, long from, long until)
    {
        (_reads, _path, _next, _until) = (reads, path, from, until);
        AskForMore();
    }

    /// <summary>Begins to read ahead; null if too little is left, or other readers have all buffers.</summary>
    public static ReadAhead? TryStart(BucketReads reads, string path, long from, long until)
    {
        if (until - from < PieceLength)
            return null;
        var ahead = new ReadAhead(reads, path, from, until);
        return ahead._pieces.Count > 0 ? ahead : null;
    }

    /// <summary>Bytes at an offset, once their piece has arrived; 0 if that piece was not asked for.</summary>
    /// <exception cref="IOException">The piece could not be read.</exception>
    public async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (!_pieces.TryPeek(out var piece) || offset < piece.From || offset >= piece.From + piece.Length)
            return 0;
        await piece.Arrived.WaitAsync(cancellationToken);
        var read = (int)Math.Min(buffer.Length, piece.From + piece.Length - offset);
        piece.Buffer.AsMemory((int)(offset - piece.From), read).CopyTo(buffer);
        if (offset + read == piece.From + piece.Length)
        {
            Return(_pieces.Dequeue());
            AskForMore();
        }
        return read;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        while (_pieces.TryDequeue(out var piece))
        {
            // The read may still write into the buffer.
            await piece.Arrived.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Return(piece);
        }
        _stop.Dispose();
    }

    private void AskForMore()
    {
        while (_pieces.Count < MaxPieces && _next < _until && _reads.TryTakeBuffer() is { } buffer)
        {
            var length = (int)Math.Min(PieceLength, _until - _next);
            _pieces.Enqueue(new Piece(_next, length, buffer, FetchAsync(_next, buffer.AsMemory(0, length))));
            _next += length;
        }
    }

    private async Task FetchAsync(long from, Memory<byte> piece)
    {
        await using var body = await BucketBody.OpenAsync(_reads, _path, from, from + piece.Length, _stop.Token);
        while (!piece.IsEmpty)
            piece = piece[await body.ReadAsync(piece, _stop.Token)..];
    }

    private void Return(Piece piece) => _reads.ReturnBuffer(piece.Buffer);

    private sealed record Piece(long From, int Length, byte[] Buffer, Task Arrived);
}
