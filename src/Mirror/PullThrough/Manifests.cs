using Microsoft.Extensions.Caching.Memory;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>The manifests that repositories have stored, the ones asked for lately in memory. The cache is bounded in bytes and only repeats the store.</summary>
public sealed class Manifests(IContentStore content, IReferenceStore references, DescriptorSizes sizes, SharedFacts shared) : IDisposable
{
    private const long CacheBytes = 32 << 20;
    // What an entry costs beside its bytes, roughly.
    private const int EntryOverhead = 512;

    private readonly MemoryCache _cache = new(new MemoryCacheOptions { SizeLimit = CacheBytes });

    /// <summary>A manifest that the repository has; null where it has none, or its content is gone.</summary>
    public async ValueTask<Manifest?> FindAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        // The link first, even for what is in memory: another process may have deleted or swept it. What is linked is never swept.
        var (linked, mediaType) = await references.FindManifestAsync(name, digest, cancellationToken);
        if (!linked)
        {
            _cache.Remove((name, digest));
            return null;
        }
        if (_cache.TryGetValue((name, digest), out Manifest? cached))
            return cached;
        if (await ReadAsync(digest, cancellationToken) is not { } bytes)
            return null;
        var manifest = new Manifest(new Descriptor(mediaType ?? MediaTypes.OfManifest(bytes) ?? MediaTypes.OctetStream, digest, bytes.Length), bytes);
        Remember(name, manifest);
        return manifest;
    }

    /// <summary>Stores a verified manifest and lets the repository serve it.</summary>
    public async ValueTask PutAsync(RepositoryName name, Manifest manifest, CancellationToken cancellationToken)
    {
        await content.PutAsync(manifest.Descriptor.Digest, manifest.Bytes, cancellationToken);
        var implied = MediaTypes.OfManifest(manifest.Bytes.Span);
        await references.LinkManifestAsync(
            name, manifest.Descriptor.Digest, manifest.Descriptor.MediaType == implied ? null : manifest.Descriptor.MediaType, cancellationToken);
        shared.RememberManifest(manifest.Descriptor.Digest, manifest.Bytes);
        Remember(name, manifest);
    }

    /// <summary>Takes a manifest from a repository; false where it had none.</summary>
    public async ValueTask<bool> RemoveAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var removed = await references.UnlinkManifestAsync(name, digest, cancellationToken);
        _cache.Remove((name, digest));
        return removed;
    }

    /// <summary>The stored bytes of a manifest, whichever repositories have it; null where there are none or they are too many to be one.</summary>
    public async ValueTask<byte[]?> ReadAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (await shared.ManifestAsync(digest) is { } known)
            return known;
        await using var stored = await content.OpenAsync(digest, cancellationToken);
        if (stored is not { Length: > 0 and <= UpstreamClient.LongestManifest and var length })
            return null;
        var bytes = new byte[length];
        for (var offset = 0; offset < bytes.Length;)
        {
            var read = await stored.ReadAsync(offset, bytes.AsMemory(offset), cancellationToken);
            if (read == 0)
                return null;
            offset += read;
        }
        // Small enough to check at every read: a manifest damaged on the disk is a miss, not an answer.
        if (Digest.Of(bytes, digest.Algorithm) != digest)
            return null;
        shared.RememberManifest(digest, bytes);
        return bytes;
    }

    public void Dispose() => _cache.Dispose();

    private void Remember(RepositoryName name, Manifest manifest)
    {
        sizes.Learn(manifest.Bytes.Span);
        _cache.Set((name, manifest.Descriptor.Digest), manifest, new MemoryCacheEntryOptions { Size = manifest.Bytes.Length + EntryOverhead });
    }
}
