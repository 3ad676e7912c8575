using Microsoft.Extensions.Caching.Memory;
using Mirror.Storage;

namespace Mirror.Repositories;

/// <summary>
/// The lengths that blobs should have. A length that was proved by the digest holds for every repository. A length that a manifest names
/// holds only for the manifest's own repository, and only until a length is proved: a client can push a manifest that names any length for
/// any blob.
/// </summary>
public sealed class ExpectedSizes : IDisposable
{
    private const int MaxSizes = 30_000;
    // An image has at most 127 layers, and an index a few dozen images.
    private const int MaxOfOneManifest = 1_000;

    // A separate cache, so that many manifests cannot push a proved length out of it.
    private readonly MemoryCache _proved = new(new MemoryCacheOptions { SizeLimit = MaxSizes });
    private readonly MemoryCache _claimed = new(new MemoryCacheOptions { SizeLimit = MaxSizes });

    /// <summary>The length in bytes of content that was verified here; null where none was.</summary>
    public long? this[Digest digest] => _proved.TryGetValue(digest, out long size) ? size : null;

    /// <summary>The length in bytes that was proved, or else that a manifest of this repository tells; null where none does.</summary>
    public long? this[RepositoryName name, Digest digest] =>
        this[digest] ?? (_claimed.TryGetValue((name, digest), out long size) ? size : null);

    /// <summary>Remembers the lengths that a manifest of a repository names.</summary>
    public void Learn(RepositoryName name, ManifestDocument manifest)
    {
        foreach (var entry in manifest.Entries.Take(MaxOfOneManifest))
            if (entry.Size is { } size && this[name, entry.Digest] != size)
                Set(_claimed, (name, entry.Digest), size);
    }

    /// <summary>Remembers the length of content whose digest was verified.</summary>
    public void Prove(Digest digest, long size) => Set(_proved, digest, size);

    public void Dispose()
    {
        _proved.Dispose();
        _claimed.Dispose();
    }

    private static void Set(MemoryCache sizes, object key, long size) =>
        sizes.Set(key, size, new MemoryCacheEntryOptions { Size = 1 });
}
