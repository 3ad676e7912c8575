using Microsoft.Extensions.Caching.Memory;
using Mirror.Storage;

namespace Mirror.Repositories;

/// <summary>
/// The lengths of blobs according to recently read manifests. Only a hint: anyone can push a manifest, so a mismatch triggers verification,
/// not rejection.
/// </summary>
public sealed class ExpectedSizes : IDisposable
{
    private const int MaxSizes = 30_000;
    // An image has at most 127 layers, and an index a few dozen images.
    private const int MaxOfOneManifest = 1_000;

    private readonly MemoryCache _sizes = new(new MemoryCacheOptions { SizeLimit = MaxSizes });

    /// <summary>The length in bytes; null where no manifest has told it.</summary>
    public long? this[Digest digest] => _sizes.TryGetValue(digest, out Size? size) ? size!.Bytes : null;

    /// <summary>Learns the lengths of what a manifest names.</summary>
    public void Learn(ManifestDocument manifest)
    {
        foreach (var entry in manifest.Entries.Take(MaxOfOneManifest))
            if (entry.Size is { } size)
                Claim(entry.Digest, size);
    }

    /// <summary>Content of this length was verified. From now on manifests that say otherwise are ignored.</summary>
    public void MarkVerified(Digest digest, long size) => Set(digest, new Size(size, IsVerified: true));

    public void Dispose() => _sizes.Dispose();

    private void Claim(Digest digest, long size)
    {
        if (!_sizes.TryGetValue(digest, out Size? known) || !known!.IsVerified && known.Bytes != size)
            Set(digest, new Size(size, IsVerified: false));
    }

    private void Set(Digest digest, Size size) => _sizes.Set(digest, size, new MemoryCacheEntryOptions { Size = 1 });

    private sealed record Size(long Bytes, bool IsVerified);
}
