namespace Mirror.Storage.Buckets;

/// <summary>The buffers and the measured speed that all readers of a bucket share.</summary>
internal sealed class BucketReads(IBucket bucket, TimeProvider time)
{
    // Those of one reader.
    private const int MaxIdle = ReadAhead.MaxPieces;

    // Not a shared pool: that keeps one for each thread that returned one.
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

    /// <summary>Gives back a buffer. When no reader has one any more, only a few are kept.</summary>
    public void ReturnBuffer(byte[] buffer)
    {
        lock (_spare)
        {
            _spare.Push(buffer);
            if (++_freeBuffers == ReadAhead.MaxBuffers)
                while (_spare.Count > MaxIdle)
                    _spare.Pop();
        }
    }
}
