using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Protects a push from a garbage collection. The push touches its manifest and all content that the manifest names, each time after it has
/// given them a name: after the link, and after the tag. If something is missing then, a sweep deleted it before it had that name, and the
/// push is refused in place of acknowledged. <see cref="Sweeper"/> explains why that is enough.
/// </summary>
public sealed class PushProtection(IContentStore content, IReferenceStore references)
{
    // A bucket answers slowly.
    private const int MaxConcurrent = 8;

    /// <summary>Touches content and a repository's links to it; returns one digest that is missing, or null where none is.</summary>
    /// <param name="blobs">The config and the layers that must be stored.</param>
    /// <param name="manifests">The manifest itself and, for an index, the children that must be stored.</param>
    public async ValueTask<Digest?> TouchAllAsync(
        RepositoryName name, IEnumerable<Digest> blobs, IEnumerable<Digest> manifests, CancellationToken cancellationToken)
    {
        List<Digest> missing = [];
        await TouchAsync(blobs, digest => references.TouchBlobAsync(name, digest, cancellationToken));
        await TouchAsync(manifests, digest => references.TouchManifestAsync(name, digest, cancellationToken));
        return missing is [var first, ..] ? first : null;

        Task TouchAsync(IEnumerable<Digest> digests, Func<Digest, ValueTask<bool>> touchLink) => Parallel.ForEachAsync(
            missing.Count > 0 ? [] : digests,
            new ParallelOptions { MaxDegreeOfParallelism = MaxConcurrent, CancellationToken = cancellationToken },
            async (digest, stop) =>
            {
                if (!await touchLink(digest) || !await content.TouchAsync(digest, stop))
                    lock (missing)
                        missing.Add(digest);
            });
    }
}
