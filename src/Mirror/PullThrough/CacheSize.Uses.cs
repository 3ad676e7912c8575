using System.Collections.Concurrent;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.Buckets.Memory;

namespace Mirror.PullThrough;

// Which blobs clients use.
public sealed partial class CacheSize
{
    // A use is recorded at most once in this time. So the order of evictions is exact to 30 s.
    private static readonly TimeSpan UseInterval = TimeSpan.FromSeconds(30);

    // A client that was redirected to the bucket sends its request there within this time. After that the bucket sends the whole object,
    // even if an eviction deletes it.
    private static readonly TimeSpan MaxRedirectDelay = TimeSpan.FromSeconds(5);

    // When this many blobs are remembered, the server forgets all of them, and records the next use of each again.
    private const int MaxRemembered = 100_000;

    // How often this server tells the other replicas of a blob that a client reads.
    private static readonly TimeSpan TellInterval = TimeSpan.FromSeconds(3);

    // How long a request for a blob waits while an eviction deletes it. After that the blob counts as missing.
    private static readonly TimeSpan DeletingWait = TimeSpan.FromMilliseconds(100);

    // How many blobs of a manifest are touched at once.
    private const int MaxTouches = 8;

    // With a bucket: when each blob was last asked for here, and when the other replicas were last told. A write for each use would cost
    // more than the read.
    private readonly ConcurrentDictionary<Digest, (long At, long? Told)> _asked = new();
    // With a bucket: the blobs that an eviction is deleting.
    private readonly ConcurrentDictionary<Digest, bool> _deleting = new();
    private readonly ConcurrentDictionary<Digest, bool> _used = new();
    private long _usedSince = time.GetTimestamp();

    private bool MayEvict => IsLimited || policies.AnyUnused;

    private bool HasBucket => storage.Bucket() is not null and not MemoryOptions;

    /// <summary>
    /// Records that the server sends a blob to a client. In a folder this makes it one of the last to be evicted. With a bucket it only
    /// protects the blob from evictions for some seconds: there the pulls of manifests give the order.
    /// </summary>
    /// <returns>False if an eviction is deleting the blob, or has just deleted it, so that it counts as missing.</returns>
    public async ValueTask<bool> TryNoteUseAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (!MayEvict)
            return true;
        if (HasBucket)
        {
            if (await TryNoteReadAsync(digest))
                return true;
            await Task.Delay(DeletingWait, time, cancellationToken);
            return false;
        }
        if (time.GetElapsedTime(Volatile.Read(ref _usedSince)) > UseInterval || _used.Count >= MaxRemembered)
        {
            Volatile.Write(ref _usedSince, time.GetTimestamp());
            _used.Clear();
        }
        if (!_used.TryAdd(digest, true))
            return true;
        try
        {
            if (await content.TouchAsync(digest, cancellationToken))
                return true;
            _used.TryRemove(digest, out _);
            return false;
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // A store that cannot be written cannot evict either.
            return true;
        }
    }

    /// <summary>
    /// Touches the stored blobs that a new manifest names. Otherwise an eviction whose index does not have the manifest yet could delete a
    /// blob with an older image that shares it. As after a push, the manifest is stored before they are touched.
    /// </summary>
    public async ValueTask NeededAsync(Manifest manifest, CancellationToken cancellationToken)
    {
        if (!MayEvict || ManifestDocument.Read(manifest.Bytes.Span) is not { } document)
            return;
        await Parallel.ForEachAsync(
            document.Blobs.Where(blob => !blob.IsElsewhere).Select(blob => blob.Digest).Distinct(),
            new ParallelOptions { MaxDegreeOfParallelism = MaxTouches, CancellationToken = cancellationToken },
            async (digest, stop) =>
            {
                if (await content.SizeAsync(digest, stop) is not null)
                    await content.TouchAsync(digest, stop);
            });
    }

    /// <summary>
    /// Whether a client may be redirected to the bucket for a blob whose use is noted: the other replicas know of the use, so their
    /// evictions keep the blob. If Redis does not answer, they do not know, and this server has to send the blob itself.
    /// </summary>
    public bool MayRedirect(Digest digest) =>
        !MayEvict || !HasBucket || !shared.IsShared
        || _asked.TryGetValue(digest, out var asked) && IsTold(asked.Told);

    /// <summary>With a bucket: the blobs that clients of this server may be reading. A store in a folder knows them itself.</summary>
    public IEnumerable<Digest> RecentlyRead()
    {
        foreach (var (digest, asked) in _asked)
            if (IsRecent(asked.At))
                yield return digest;
            else
                _asked.TryRemove(new(digest, asked));
    }

    /// <summary>Keeps clients of all replicas from blobs of a bucket that an eviction is about to delete.</summary>
    /// <returns>To be disposed when they are deleted; null if a client may be reading one of them, so that they must stay.</returns>
    public async ValueTask<IAsyncDisposable?> TryLockOutReadersAsync(IReadOnlyCollection<Digest> digests)
    {
        var lockOut = new LockOut(this, shared, HasBucket ? digests : []);
        if (await lockOut.TryAsync())
            return lockOut;
        await lockOut.DisposeAsync();
        return null;
    }

    // Notes that a client reads the blob, and then looks whether an eviction deletes it. An eviction does it the other way round.
    private async ValueTask<bool> TryNoteReadAsync(Digest digest)
    {
        var now = time.GetTimestamp();
        var isKnown = _asked.TryGetValue(digest, out var before);
        if (!isKnown && _asked.Count >= MaxRemembered)
            _asked.Clear();
        _asked[digest] = (now, before.Told);
        if (_deleting.ContainsKey(digest))
            return false;
        if (!shared.IsShared || IsTold(before.Told))
            return true;
        var mayRead = await shared.ReadingAsync(digest);
        if (mayRead is true)
            _asked[digest] = (now, now);
        return mayRead is not false;
    }

    private bool IsTold(long? told) => told is { } at && time.GetElapsedTime(at) < TellInterval;

    private bool IsRecent(long at) => time.GetElapsedTime(at) < MaxRedirectDelay;

    private sealed class LockOut(CacheSize cache, CacheUsage shared, IReadOnlyCollection<Digest> digests) : IAsyncDisposable
    {
        public async ValueTask<bool> TryAsync()
        {
            foreach (var digest in digests)
                cache._deleting[digest] = true;
            return !digests.Any(digest => cache._asked.TryGetValue(digest, out var asked) && cache.IsRecent(asked.At))
                && await shared.DeletingAsync(digests);
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var digest in digests)
                cache._deleting.TryRemove(digest, out _);
            await shared.DeletedAsync(digests);
        }
    }
}
