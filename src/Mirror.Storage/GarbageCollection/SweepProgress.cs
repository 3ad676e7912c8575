namespace Mirror.Storage.GarbageCollection;

/// <summary>How far a sweep is. Another thread may read it.</summary>
public sealed class SweepProgress
{
    private long _blobs;

    /// <summary>Repositories whose manifests were read.</summary>
    public int Repositories { get; set; }

    /// <summary>Digests in use that were found so far.</summary>
    public int Marked { get; set; }

    /// <summary>Stored blobs that were looked at; 0 while manifests are still being read.</summary>
    public long Blobs => Volatile.Read(ref _blobs);

    internal void CountBlob() => Interlocked.Increment(ref _blobs);
}
