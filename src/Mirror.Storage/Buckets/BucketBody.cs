namespace Mirror.Storage.Buckets;

/// <summary>A part of an object, read from one connection. A slow reader slows the service down.</summary>
internal sealed class BucketBody : IAsyncDisposable
{
    private const double SlowBytesPerSecond = 100 << 20;

    private static readonly TimeSpan IdleLimit = TimeSpan.FromSeconds(30);

    private readonly BucketReads _reads;
    private readonly string _name;
    private readonly Stream _stream;
    private long _read;
    private TimeSpan _waited;

    private BucketBody(BucketReads reads, string name, long from, long until, Stream stream) =>
        (_reads, _name, Position, Until, _stream) = (reads, name, from, until, stream);

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
        using var idle = new CancellationTokenSource(IdleLimit, _reads.Time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, idle.Token);
        try
        {
            var asked = _reads.Time.GetTimestamp();
            var read = await _stream.ReadAsync(buffer[..(int)Math.Min(buffer.Length, Until - Position)], stop.Token);
            if (read == 0)
                throw new EndOfStreamException($"{_name} was cut off at byte {Position} of {Until}.");
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

    public ValueTask DisposeAsync() => _stream.DisposeAsync();
}
