using System.Collections.Concurrent;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Repositories;

/// <summary>
/// The blobs to which clients were redirected a moment ago. For a few seconds the server redirects further clients of the same repository
/// without a question to the store. A blob that this server or another replica deletes from the repository is forgotten at once.
/// </summary>
public sealed class KnownBlobs
{
    private static readonly TimeSpan Life = TimeSpan.FromSeconds(3);

    // When so many are known, all are forgotten.
    private const int MaxBlobs = 10_000;

    private readonly ConcurrentDictionary<(RepositoryName, Digest), (KnownBlob Blob, long At)> _known = new();
    private readonly Announcements _announcements;
    private readonly TimeProvider _time;
    private long _removals;

    public KnownBlobs(Announcements announcements, TimeProvider time)
    {
        (_announcements, _time) = (announcements, time);
        announcements.ContentRemoved += Forget;
        announcements.MessagesMayBeLost += ForgetAll;
    }

    /// <summary>Changes with each removal. A caller reads it before it looks for a blob in the store.</summary>
    public long Removals => Volatile.Read(ref _removals);

    /// <summary>A blob of the repository; null if the store must be asked.</summary>
    public KnownBlob? Find(RepositoryName name, Digest digest) =>
        _known.TryGetValue((name, digest), out var known) && _time.GetElapsedTime(known.At) < Life ? known.Blob : null;

    /// <summary>Remembers a blob to which a client was redirected, unless something was removed meanwhile.</summary>
    /// <param name="removals">What <see cref="Removals"/> was before the store was asked for the blob.</param>
    public void Add(RepositoryName name, Digest digest, KnownBlob blob, long removals)
    {
        if (_known.Count >= MaxBlobs)
            _known.Clear();
        _known[(name, digest)] = (blob, _time.GetTimestamp());
        // A removal after the line before this one finds the entry.
        if (removals != Removals)
            _known.TryRemove((name, digest), out _);
    }

    /// <summary>A blob was deleted from the repository. Tells the other replicas, too.</summary>
    public ValueTask RemovedAsync(RepositoryName name, Digest digest)
    {
        Forget(name, digest);
        return _announcements.ContentRemovedAsync(name, digest);
    }

    private void Forget(RepositoryName name, Digest digest)
    {
        Interlocked.Increment(ref _removals);
        _known.TryRemove((name, digest), out _);
    }

    private void ForgetAll()
    {
        Interlocked.Increment(ref _removals);
        _known.Clear();
    }
}

/// <summary>A stored blob that has an address. It asks for its address once.</summary>
/// <param name="length">In bytes.</param>
/// <param name="status">What clients are told about the cache; null for a hosted repository.</param>
public sealed class KnownBlob(ILocatedContent content, long? length, CacheStatus? status) : ILocatedContent
{
    private Uri? _address;

    public long? Length => length;

    public CacheStatus? Status => status;

    public async ValueTask<Uri?> LocateAsync(CancellationToken cancellationToken) =>
        _address ??= await content.LocateAsync(cancellationToken);
}
