using Microsoft.Extensions.Caching.Memory;
using Mirror.Storage;

namespace Mirror.Repositories;

/// <summary>
/// How long content is, as the manifests say that were read lately. A hint and no more: anybody can write a manifest, so what contradicts it is
/// looked at closely, and never refused for its sake.
/// </summary>
public sealed class ExpectedSizes : IDisposable
{
    private const int MaxSizes = 30_000;
    // Images have at most 127 layers, and an index a few dozen images.
    private const int MaxOfOneManifest = 1_000;

    private readonly MemoryCache _sizes = new(new MemoryCacheOptions { SizeLimit = MaxSizes });

    /// <summary>The length in bytes; null where no manifest said it.</summary>
    public long? this[Digest digest] => _sizes.TryGetValue(digest, out Size? size) ? size!.Bytes : null;

    /// <summary>Takes in what a manifest says of the content it names.</summary>
    public void Learn(ManifestDocument manifest)
    {
        foreach (var entry in manifest.Entries.Take(MaxOfOneManifest))
            if (entry.Size is { } size)
                Claim(entry.Digest, size);
    }

    /// <summary>Content of this length was hashed and is right: what manifests say from now on does not matter.</summary>
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
