using System.Collections.Concurrent;
using Mirror.Storage;
using Mirror.Storage.Buckets.Memory;

namespace Mirror.PullThrough;

// Which blobs clients use.
public sealed partial class CacheSize
{
    // Record a use at most this often: it bounds the accuracy of the LRU order.
    private static readonly TimeSpan UseInterval = TimeSpan.FromSeconds(30);

    // A client that was sent to the bucket begins to read within this time. A store goes on sending what it has begun to send.
    private static readonly TimeSpan MaxReading = TimeSpan.FromSeconds(5);

    // With more blobs in use than this, uses are recorded more often than needed.
    private const int MaxRemembered = 100_000;

    // With a bucket: when each blob was last asked for here. A write for each use would cost more than the read.
    private readonly ConcurrentDictionary<Digest, long> _asked = new();
    private readonly ConcurrentDictionary<Digest, bool> _used = new();
    private long _usedSince = time.GetTimestamp();

    /// <summary>Records that a blob is being served, which makes it one of the last to be evicted.</summary>
    public async ValueTask UsedAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (!IsLimited && !policies.AnyUnused)
            return;
        if (storage.Bucket() is not null and not MemoryOptions)
        {
            if (!_asked.ContainsKey(digest) && _asked.Count >= MaxRemembered)
                _asked.Clear();
            _asked[digest] = time.GetTimestamp();
            return;
        }
        if (time.GetElapsedTime(Volatile.Read(ref _usedSince)) > UseInterval || _used.Count >= MaxRemembered)
        {
            Volatile.Write(ref _usedSince, time.GetTimestamp());
            _used.Clear();
        }
        if (!_used.TryAdd(digest, true))
            return;
        try
        {
            await content.TouchAsync(digest, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // A store that cannot be written cannot evict either.
        }
    }

    /// <summary>With a bucket: the blobs that clients of this server may be reading. A store in a folder knows them itself.</summary>
    public IEnumerable<Digest> RecentlyRead()
    {
        foreach (var (digest, at) in _asked)
            if (time.GetElapsedTime(at) < MaxReading)
                yield return digest;
            else
                _asked.TryRemove(new(digest, at));
    }
}
