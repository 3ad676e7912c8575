namespace Mirror.Storage.Buckets;

/// <summary>The buffers and the measured speed that all readers of a bucket share.</summary>
internal sealed class BucketReads(IBucket bucket, TimeProvider time)
{
    private int _freeBuffers = ReadAhead.MaxBuffers;
    private volatile bool _connectionsAreSlow;

    public IBucket Bucket => bucket;

    public TimeProvider Time => time;

    /// <summary>Whether a connection that was read lately was slower than its reader.</summary>
    public bool ConnectionsAreSlow { get => _connectionsAreSlow; set => _connectionsAreSlow = value; }

    /// <summary>Takes one of <see cref="ReadAhead.MaxBuffers"/>; false while other readers have them all.</summary>
    public bool TryTakeBuffer()
    {
        if (Interlocked.Decrement(ref _freeBuffers) >= 0)
            return true;
        ReturnBuffer();
        return false;
    }

    public void ReturnBuffer() => Interlocked.Increment(ref _freeBuffers);
}
