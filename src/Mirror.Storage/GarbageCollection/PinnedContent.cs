using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>What the pinned images need: their manifests, those of their platforms, configs and layers.</summary>
public sealed class PinnedContent
{
    private readonly ManifestMarks _marks;

    private PinnedContent(ManifestMarks marks) => _marks = marks;

    /// <summary>Whether a pinned image needs this content.</summary>
    public bool IsPinned(Digest digest) => _marks.Contains(digest);

    /// <summary>
    /// Reads it from the store: what the pinned tags name now. Where a pinned manifest does not show what it names, all blobs of its
    /// repository are pinned.
    /// </summary>
    public static async Task<PinnedContent> ReadAsync(
        IPinStore pins, IReferenceStore references, ISweepStore store, IContentStore content, CancellationToken stop)
    {
        var marks = new ManifestMarks(content, stop);
        await foreach (var (name, tag) in pins.ListAsync(stop))
            if (await references.ResolveTagAsync(name, tag, stop) is { } digest
                && await marks.AddManifestAsync(digest) is Naming.Damaged or Naming.Unreadable)
                await foreach (var (blob, _) in store.ListBlobsAsync(name, stop))
                    marks.Add(blob);
        return new PinnedContent(marks);
    }
}
