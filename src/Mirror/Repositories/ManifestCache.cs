using Microsoft.Extensions.Caching.Memory;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>The manifests that repositories have stored, the ones asked for lately in memory. The cache is bounded in bytes and only repeats the store.</summary>
public sealed class ManifestCache : IDisposable
{
    private const long CacheBytes = 32 << 20;
    // What an entry costs beside its bytes, roughly.
    private const int EntryOverhead = 512;

    // Another process may take a manifest from a repository. Replicas say so at once, if they are heard; this is for all others, such as one
    // that collects garbage.
    private static readonly TimeSpan Believed = TimeSpan.FromSeconds(1);

    private readonly IContentStore _content;
    private readonly IReferenceStore _references;
    private readonly ExpectedSizes _sizes;
    private readonly FleetCache _shared;
    private readonly Announcements _announcements;
    private readonly TimeProvider _time;
    private readonly MemoryCache _cache = new(new MemoryCacheOptions { SizeLimit = CacheBytes });
    private long _removals;

    public ManifestCache(
        IContentStore content, IReferenceStore references, ExpectedSizes sizes, FleetCache shared, Announcements announcements, TimeProvider time)
    {
        (_content, _references, _sizes, _shared, _announcements, _time) = (content, references, sizes, shared, announcements, time);
        announcements.ManifestRemoved += Forget;
        announcements.Missed += ForgetAll;
    }

    /// <summary>A manifest that the repository has; null where it has none, or its content is gone.</summary>
    public async ValueTask<Manifest?> FindAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var inMemory = _cache.TryGetValue((name, digest), out Entry? cached);
        if (inMemory && _time.GetElapsedTime(cached!.CheckedAt) < Believed)
            return cached.Manifest;
        // What is removed while it is being read must not be remembered.
        var removals = Volatile.Read(ref _removals);
        var (linked, mediaType) = await _references.FindManifestAsync(name, digest, cancellationToken);
        if (linked && inMemory)
        {
            // What is linked is never swept.
            cached!.CheckedAt = _time.GetTimestamp();
            return cached.Manifest;
        }
        if (!linked || await ReadAsync(digest, cancellationToken) is not { } bytes)
        {
            _cache.Remove((name, digest));
            return null;
        }
        var document = ManifestDocument.Read(bytes);
        var manifest = new Manifest(new Descriptor(mediaType ?? document?.Type ?? MediaTypes.OctetStream, digest, bytes.Length), bytes);
        if (removals == Volatile.Read(ref _removals))
            Remember(name, manifest, document);
        return manifest;
    }

    /// <summary>Stores a verified manifest and lets the repository serve it.</summary>
    public async ValueTask PutAsync(RepositoryName name, Manifest manifest, CancellationToken cancellationToken)
    {
        await _content.PutAsync(manifest.Descriptor.Digest, manifest.Bytes, cancellationToken);
        var document = ManifestDocument.Read(manifest.Bytes.Span);
        var type = manifest.Descriptor.MediaType;
        await _references.LinkManifestAsync(name, manifest.Descriptor.Digest, type == document?.Type ? null : type, cancellationToken);
        _shared.RememberManifest(manifest.Descriptor.Digest, manifest.Bytes);
        Remember(name, manifest, document);
    }

    /// <summary>Takes a manifest from a repository; false where it had none.</summary>
    public async ValueTask<bool> RemoveAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var removed = await _references.UnlinkManifestAsync(name, digest, cancellationToken);
        Forget(name, digest);
        await _announcements.ManifestRemovedAsync(name, digest);
        return removed;
    }

    /// <summary>The stored bytes of a manifest, whichever repositories have it; null where there are none or they are too many to be one.</summary>
    public async ValueTask<byte[]?> ReadAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (await _shared.ManifestAsync(digest) is { } shared)
            return shared;
        // Small enough to verify at every read: a manifest that is damaged on the disk is a miss, not an answer.
        if (await _content.ReadAllAsync(digest, Manifest.MaxBytes, cancellationToken) is not (_, { Length: > 0 } bytes))
            return null;
        _shared.RememberManifest(digest, bytes);
        return bytes;
    }

    public void Dispose() => _cache.Dispose();

    private void Remember(RepositoryName name, Manifest manifest, ManifestDocument? document)
    {
        if (document is not null)
            _sizes.Learn(document);
        _cache.Set(
            (name, manifest.Descriptor.Digest), new Entry(manifest, _time.GetTimestamp()), new MemoryCacheEntryOptions { Size = manifest.Bytes.Length + EntryOverhead });
    }

    private void Forget(RepositoryName name, Digest digest)
    {
        Interlocked.Increment(ref _removals);
        _cache.Remove((name, digest));
    }

    private void ForgetAll()
    {
        Interlocked.Increment(ref _removals);
        _cache.Clear();
    }

    private sealed class Entry(Manifest manifest, long checkedAt)
    {
        private long _checkedAt = checkedAt;

        public Manifest Manifest => manifest;

        /// <summary>When the repository was last seen to have it.</summary>
        public long CheckedAt
        {
            get => Volatile.Read(ref _checkedAt);
            set => Volatile.Write(ref _checkedAt, value);
        }
    }
}
