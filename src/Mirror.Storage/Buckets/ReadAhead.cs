using System.Buffers;
using Mirror.Storage.Buckets.S3;

namespace Mirror.Storage.Buckets;

/// <summary>
/// The next pieces of an object, asked for side by side: many stores give one connection less than the link takes. A reader that is slow keeps
/// what it has and asks for no more. All readers of the process share so many buffers; one that gets none goes without.
/// </summary>
internal sealed class ReadAhead : IAsyncDisposable
{
    public const int PieceLength = 4 << 20;

    // Beside the one that its reader gets straight from a connection.
    private const int MaxPieces = 3;

    /// <summary>How many pieces all readers of a bucket together may hold.</summary>
    public const int MaxBuffers = 16;

    private readonly S3Bucket _bucket;
    private readonly string _path;
    private readonly long _until;
    private readonly Queue<Piece> _pieces = new();
    private readonly CancellationTokenSource _stop = new();
    private long _next;

    private ReadAhead(S3Bucket bucket, string path, long from, long until)
    {
        (_bucket, _path, _next, _until) = (bucket, path, from, until);
        AskForMore();
    }

    /// <summary>Begins to read ahead; null where that is not worth it, or others have all buffers.</summary>
    public static ReadAhead? TryStart(S3Bucket bucket, string path, long from, long until)
    {
        if (until - from < PieceLength)
            return null;
        var ahead = new ReadAhead(bucket, path, from, until);
        return ahead._pieces.Count > 0 ? ahead : null;
    }

    /// <summary>Bytes at an offset, once their piece has arrived; 0 where it was not asked for.</summary>
    /// <exception cref="IOException">The piece did not come.</exception>
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
            // Nobody else may have the buffer while bytes still come into it.
            await piece.Arrived.ContinueWith(static arrived => arrived.Exception, TaskScheduler.Default);
            Return(piece);
        }
        _stop.Dispose();
    }

    private void AskForMore()
    {
        while (_pieces.Count < MaxPieces && _next < _until && _bucket.ReadAheadBuffers.Wait(0))
        {
            var length = (int)Math.Min(PieceLength, _until - _next);
            var buffer = ArrayPool<byte>.Shared.Rent(PieceLength);
            _pieces.Enqueue(new Piece(_next, length, buffer, FetchAsync(_next, buffer.AsMemory(0, length))));
            _next += length;
        }
    }

    private async Task FetchAsync(long from, Memory<byte> piece)
    {
        await using var body = await S3Body.OpenAsync(_bucket, _path, from, from + piece.Length, _stop.Token);
        while (!piece.IsEmpty)
            piece = piece[await body.ReadAsync(piece, _stop.Token)..];
    }

    private void Return(Piece piece)
    {
        ArrayPool<byte>.Shared.Return(piece.Buffer);
        _bucket.ReadAheadBuffers.Release();
    }

    private sealed record Piece(long From, int Length, byte[] Buffer, Task Arrived);
}
