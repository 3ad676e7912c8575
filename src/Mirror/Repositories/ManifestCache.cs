using Microsoft.Extensions.Caching.Memory;
using Mirror.Fleet;
using Mirror.Schema1;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>Stores and reads the manifests of repositories, and keeps recently used ones in memory, up to a number of bytes.</summary>
public sealed class ManifestCache : IDisposable
{
    private const long CacheBytes = 32 << 20;
    // The approximate memory of an entry in addition to its bytes.
    private const int EntryOverhead = 512;

    // Look into the store again after this time, because another process may have deleted the manifest. Replicas announce it at once, but a
    // garbage collection from the command line does not.
    private static readonly TimeSpan LinkTtl = TimeSpan.FromSeconds(1);

    private readonly IContentStore _content;
    private readonly IReferenceStore _references;
    private readonly ExpectedSizes _sizes;
    private readonly FleetCache _shared;
    private readonly Announcements _announcements;
    private readonly Schema1Manifests _schema1;
    private readonly TimeProvider _time;
    private readonly MemoryCache _cache = new(new MemoryCacheOptions { SizeLimit = CacheBytes });
    private long _removals;

    public ManifestCache(
        IContentStore content, IReferenceStore references, ExpectedSizes sizes, FleetCache shared, Announcements announcements,
        Schema1Manifests schema1, TimeProvider time)
    {
        (_content, _references, _sizes, _shared) = (content, references, sizes, shared);
        (_announcements, _schema1, _time) = (announcements, schema1, time);
        announcements.ContentRemoved += Forget;
        announcements.MessagesMayBeLost += ForgetAll;
    }

    /// <summary>A manifest of the repository; null where it is not linked, or its content is missing or damaged.</summary>
    public async ValueTask<Manifest?> FindAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var inMemory = _cache.TryGetValue((name, digest), out Entry? cached);
        if (inMemory && _time.GetElapsedTime(cached!.CheckedAt) < LinkTtl)
            return cached.Manifest;
        // Do not cache a manifest that is deleted while it is being read.
        var removals = Volatile.Read(ref _removals);
        var (linked, mediaType) = await _references.FindManifestAsync(name, digest, cancellationToken);
        if (linked && inMemory)
        {
            // A sweep never deletes the content of a linked manifest, so the cached bytes are still stored.
            cached!.CheckedAt = _time.GetTimestamp();
            return cached.Manifest;
        }
        if (!linked || await ReadAsync(digest, cancellationToken) is not { } bytes)
        {
            _cache.Remove((name, digest));
            return null;
        }
        var document = ManifestDocument.Read(bytes);
        var manifest = Served(new Descriptor(mediaType ?? document?.Type ?? MediaTypes.OctetStream, digest, bytes.Length), bytes, document);
        if (removals == Volatile.Read(ref _removals))
            Remember(name, manifest, document);
        return manifest;
    }

    /// <summary>Stores a verified manifest and links it into the repository.</summary>
    public async ValueTask PutAsync(RepositoryName name, Manifest manifest, CancellationToken cancellationToken)
    {
        var stored = Schema1Manifests.Stored(manifest);
        await _content.PutAsync(manifest.Descriptor.Digest, stored, cancellationToken);
        var document = ManifestDocument.Read(stored.Span);
        var type = manifest.Descriptor.MediaType;
        await _references.LinkManifestAsync(name, manifest.Descriptor.Digest, type == document?.Type ? null : type, cancellationToken);
        _shared.RememberManifest(manifest.Descriptor.Digest, stored);
        Remember(name, manifest, document);
    }

    /// <summary>Unlinks a manifest from a repository; false where it was not linked.</summary>
    public async ValueTask<bool> RemoveAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var removed = await _references.UnlinkManifestAsync(name, digest, cancellationToken);
        Forget(name, digest);
        await _announcements.ContentRemovedAsync(name, digest);
        return removed;
    }

    /// <summary>The stored bytes of a manifest of any repository; null where they are missing, damaged or too long.</summary>
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

    private Manifest Served(Descriptor descriptor, byte[] bytes, ManifestDocument? document)
    {
        try
        {
            if (Schema1Manifests.IsPayload(document))
                return _schema1.WithSignature(bytes, descriptor.Digest);
        }
        catch (FormatException)
        {
            // Another program has stored bytes that only look like a manifest of schema 1. The server serves them as they are.
        }
        return new Manifest(descriptor, bytes);
    }

    private void Remember(RepositoryName name, Manifest manifest, ManifestDocument? document)
    {
        if (document is not null)
            _sizes.Learn(name, document);
        _cache.Set(
            (name, manifest.Descriptor.Digest),
            new Entry(manifest, _time.GetTimestamp()),
            new MemoryCacheEntryOptions { Size = manifest.Bytes.Length + EntryOverhead });
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

        /// <summary>When the link was last seen in the store.</summary>
        public long CheckedAt
        {
            get => Volatile.Read(ref _checkedAt);
            set => Volatile.Write(ref _checkedAt, value);
        }
    }
}
