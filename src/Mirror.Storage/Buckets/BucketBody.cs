namespace Mirror.Storage.Buckets;

/// <summary>A part of an object, read from one connection. A slow reader slows the service down.</summary>
internal sealed class BucketBody : IAsyncDisposable
{
    private const double SlowBytesPerSecond = 100 << 20;

    // A fast connection fills this within a millisecond. Many small pieces cost more processor time, on their way in and out.
    private const int FastPiece = 64 << 10;

    private static readonly TimeSpan IdleLimit = TimeSpan.FromSeconds(30);

    private readonly BucketReads _reads;
    private readonly string _name;
    private readonly Stream _stream;
    // One for all reads: a body is read in thousands of pieces.
    private readonly CancellationTokenSource _stop;
    private CancellationToken _caller;
    private CancellationTokenRegistration _ofCaller;
    private long _read;
    private TimeSpan _waited;

    private BucketBody(BucketReads reads, string name, long from, long until, Stream stream) =>
        (_reads, _name, Position, Until, _stream, _stop) =
        (reads, name, from, until, stream, new CancellationTokenSource(Timeout.InfiniteTimeSpan, reads.Time));

    /// <summary>The offset in the object of the byte that is read next.</summary>
    public long Position { get; private set; }

    /// <summary>The offset after the last byte that is read. If it is made smaller, the connection cannot be used again.</summary>
    public long Until { get; set; }

    /// <summary>
    /// Whether the connection is slower than <see cref="SlowBytesPerSecond"/>; null while too few bytes were read to tell.
    /// </summary>
    public bool? IsSlow => _read < ReadAhead.PieceLength ? null : _read / _waited.TotalSeconds < SlowBytesPerSecond;

    /// <exception cref="StoreUnavailableException">The bucket does not answer, or the object does not exist any more.</exception>
    public static async ValueTask<BucketBody> OpenAsync(
        BucketReads reads, string path, long from, long until, CancellationToken cancellationToken)
    {
        var name = reads.Bucket.Name + path;
        var stream = await reads.Bucket.OpenAsync(path, from, until, cancellationToken)
            ?? throw new StoreUnavailableException($"{name} was deleted while it was read.");
        return new(reads, name, from, until, stream);
    }

    /// <summary>Reads the next bytes, at least one. Not to be called at the end.</summary>
    /// <exception cref="IOException">The connection broke, or brought nothing for too long.</exception>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        EndWith(cancellationToken);
        var piece = buffer[..(int)Math.Min(buffer.Length, Until - Position)];
        var least = IsSlow is false ? Math.Min(piece.Length, FastPiece) : 1;
        try
        {
            var asked = _reads.Time.GetTimestamp();
            var read = 0;
            while (read < least)
                read += await ReadSomeAsync(piece[read..]) is > 0 and var more ? more
                    : throw new EndOfStreamException($"{_name} was cut off at byte {Position + read} of {Until}.");
            Position += read;
            _read += read;
            _waited += _reads.Time.GetElapsedTime(asked);
            return read;
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            throw new IOException($"{_name} sent nothing for {IdleLimit.TotalSeconds:0} s.");
        }
        // The libraries' streams throw exceptions of their own.
        catch (Exception broken) when (broken is not IOException)
        {
            throw new IOException(broken.Message, broken);
        }
    }

    public ValueTask DisposeAsync()
    {
        _ofCaller.Dispose();
        _stop.Dispose();
        return _stream.DisposeAsync();
    }

    private void EndWith(CancellationToken caller)
    {
        if (caller == _caller)
            return;
        _ofCaller.Dispose();
        (_caller, _ofCaller) = (caller, caller.UnsafeRegister(static stop => ((CancellationTokenSource)stop!).Cancel(), _stop));
    }

    private async ValueTask<int> ReadSomeAsync(Memory<byte> buffer)
    {
        var read = _stream.ReadAsync(buffer, _stop.Token);
        if (read.IsCompletedSuccessfully)
            return read.Result;
        _stop.CancelAfter(IdleLimit);
        try
        {
            return await read;
        }
        finally
        {
            _stop.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }
}
