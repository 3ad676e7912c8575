namespace Mirror.Storage.Sweeping;

/// <summary>
/// How a push keeps what it is about to name from being swept. It claims everything its manifest refers to, and the manifest, after each step that
/// names it: once linked, and once tagged. What is missing then was swept before anyone named it, and the push is refused
/// instead of acknowledged. Why that is enough: <see cref="Sweeper"/>.
/// </summary>
public sealed class Claims(IContentStore content, IReferenceStore references)
{
    /// <summary>Claims content and a repository's links to it; returns the first that is not there, null where all are.</summary>
    /// <param name="blobs">Config and layers that are stored here.</param>
    /// <param name="manifests">The manifest itself and, for an index, its entries that are stored here.</param>
    public async ValueTask<Digest?> FirstMissingAsync(
        RepositoryName name, IEnumerable<Digest> blobs, IEnumerable<Digest> manifests, CancellationToken cancellationToken)
    {
        foreach (var digest in blobs)
            if (!await references.RenewBlobAsync(name, digest, cancellationToken) || !await content.RenewAsync(digest, cancellationToken))
                return digest;
        foreach (var digest in manifests)
            if (!await references.RenewManifestAsync(name, digest, cancellationToken) || !await content.RenewAsync(digest, cancellationToken))
                return digest;
        return null;
    }
}
