using Amazon.S3.Model;

namespace Mirror.Storage.Buckets.S3;

/// <summary>A part of an object, on one connection. What the store sends and nobody reads yet waits in that connection.</summary>
internal sealed class S3Body : IAsyncDisposable
{
    private static readonly TimeSpan IdleLimit = TimeSpan.FromSeconds(30);

    private const double SlowBytesPerSecond = 100 << 20;

    private readonly S3Bucket _bucket;
    private readonly string _path;
    private readonly GetObjectResponse _response;
    private long _read;
    private TimeSpan _waited;

    private S3Body(S3Bucket bucket, string path, long from, long until, GetObjectResponse response) =>
        (_bucket, _path, Position, Until, _response) = (bucket, path, from, until, response);

    /// <summary>The offset in the object of the byte that is read next.</summary>
    public long Position { get; private set; }

    /// <summary>The offset behind the last byte that is wanted. Less than was asked for costs the connection.</summary>
    public long Until { get; set; }

    /// <summary>Whether its reader would take more than <see cref="SlowBytesPerSecond"/> and has to wait for it; null while that is not clear.</summary>
    public bool? IsSlow => _read < ReadAhead.PieceLength ? null : _read / _waited.TotalSeconds < SlowBytesPerSecond;

    /// <exception cref="StoreUnavailableException">The store gives no answer, or has the object no more.</exception>
    public static async ValueTask<S3Body> OpenAsync(S3Bucket bucket, string path, long from, long until, CancellationToken cancellationToken) =>
        new(bucket, path, from, until, await bucket.OpenAsync(path, from, until, cancellationToken)
            ?? throw new StoreUnavailableException($"{bucket.Name}{path} went away while it was read."));

    /// <summary>The next bytes, one at least. Not at the end.</summary>
    /// <exception cref="IOException">The connection broke, or nothing came.</exception>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        using var idle = new CancellationTokenSource(IdleLimit, _bucket.Time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, idle.Token);
        try
        {
            var asked = _bucket.Time.GetTimestamp();
            var read = await _response.ResponseStream.ReadAsync(buffer[..(int)Math.Min(buffer.Length, Until - Position)], stop.Token);
            if (read == 0)
                throw new EndOfStreamException($"{_bucket.Name}{_path} was cut off at byte {Position} of {Until}.");
            Position += read;
            _read += read;
            _waited += _bucket.Time.GetElapsedTime(asked);
            return read;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"{_bucket.Name}{_path} sent nothing for {IdleLimit.TotalSeconds:0} s.");
        }
        catch (Exception broken) when (broken is HttpRequestException or Amazon.Runtime.AmazonClientException)
        {
            throw new IOException(broken.Message, broken);
        }
    }

    public ValueTask DisposeAsync()
    {
        _response.Dispose();
        return ValueTask.CompletedTask;
    }
}
