namespace Mirror.Storage.Buckets;

/// <summary>The buffers and the measured speed that all readers of a bucket share.</summary>
internal sealed class BucketReads(IBucket bucket, TimeProvider time)
{
    // Not a shared pool: that keeps one for each thread that returned one. All are kept: a buffer is a large object, whose memory the
    // collector seldom frees, and the next readers would allocate more beside it.
    private readonly Stack<byte[]> _spare = [];
    private int _freeBuffers = ReadAhead.MaxBuffers;
    private volatile bool _connectionsAreSlow;

    public IBucket Bucket => bucket;

    public TimeProvider Time => time;

    /// <summary>Whether a connection that was read lately was slower than its reader.</summary>
    public bool ConnectionsAreSlow { get => _connectionsAreSlow; set => _connectionsAreSlow = value; }

    /// <summary>Takes one of <see cref="ReadAhead.MaxBuffers"/>; null while other readers have them all.</summary>
    public byte[]? TryTakeBuffer()
    {
        lock (_spare)
        {
            if (_freeBuffers == 0)
                return null;
            _freeBuffers--;
            return _spare.TryPop(out var buffer) ? buffer : GC.AllocateUninitializedArray<byte>(ReadAhead.PieceLength);
        }
    }

    /// <summary>Gives back a buffer.</summary>
    public void ReturnBuffer(byte[] buffer)
    {
        lock (_spare)
        {
            _spare.Push(buffer);
            _freeBuffers++;
        }
    }
}
