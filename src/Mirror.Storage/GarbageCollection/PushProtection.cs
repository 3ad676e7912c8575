using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// How a push keeps what it is about to name from being swept. It claims everything its manifest refers to, and the manifest, after each step that
/// names it: once linked, and once tagged. What is missing then was swept before anyone named it, and the push is refused
/// instead of acknowledged. Why that is enough: <see cref="Sweeper"/>.
/// </summary>
public sealed class PushProtection(IContentStore content, IReferenceStore references)
{
    // A bucket is far away.
    private const int AtOnce = 8;

    /// <summary>Claims content and a repository's links to it; returns one that is not there, null where all are.</summary>
    /// <param name="blobs">Config and layers that are stored here.</param>
    /// <param name="manifests">The manifest itself and, for an index, its entries that are stored here.</param>
    public async ValueTask<Digest?> FirstMissingAsync(
        RepositoryName name, IEnumerable<Digest> blobs, IEnumerable<Digest> manifests, CancellationToken cancellationToken)
    {
        List<Digest> missing = [];
        await EachAsync(blobs, digest => references.TouchBlobAsync(name, digest, cancellationToken));
        await EachAsync(manifests, digest => references.TouchManifestAsync(name, digest, cancellationToken));
        return missing is [var first, ..] ? first : null;

        Task EachAsync(IEnumerable<Digest> digests, Func<Digest, ValueTask<bool>> renew) => Parallel.ForEachAsync(
            missing.Count > 0 ? [] : digests, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken }, async (digest, stop) =>
            {
                if (!await renew(digest) || !await content.TouchAsync(digest, stop))
                    lock (missing)
                        missing.Add(digest);
            });
    }
}
