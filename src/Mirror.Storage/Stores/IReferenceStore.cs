namespace Mirror.Storage.Stores;

/// <summary>Name -> digest: which repository may serve which content, and what its tags name. Every write survives a power cut once it returns.</summary>
public interface IReferenceStore
{
    /// <summary>Whether a repository holds anything, or ever did.</summary>
    ValueTask<bool> ExistsAsync(RepositoryName name, CancellationToken cancellationToken);

    /// <summary>Lets a repository serve a blob, or renews that.</summary>
    ValueTask LinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    ValueTask<bool> HasBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Makes a repository's right to a blob as young as if it were new; false where it has none. See <see cref="IContentStore.TouchAsync"/>.</summary>
    ValueTask<bool> TouchBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Takes a blob from a repository; false where it had none. The content stays.</summary>
    ValueTask<bool> UnlinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Lets a repository serve a manifest, or renews that.</summary>
    /// <param name="mediaType">The type to serve it with, where the manifest itself does not say it; otherwise null.</param>
    ValueTask LinkManifestAsync(RepositoryName name, Digest digest, string? mediaType, CancellationToken cancellationToken);

    /// <summary>Whether the repository has the manifest, and the type it was linked with, if any.</summary>
    ValueTask<(bool Linked, string? MediaType)> FindManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Makes a manifest's link as young as if it were new; false where there is none. See <see cref="IContentStore.TouchAsync"/>.</summary>
    ValueTask<bool> TouchManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Takes a manifest from a repository; false where it had none. Tags that name it are the caller's affair.</summary>
    ValueTask<bool> UnlinkManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>What a tag names; null where there is no such tag.</summary>
    ValueTask<Digest?> ResolveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken);

    /// <summary>Makes a tag name a manifest that the repository has.</summary>
    ValueTask SetTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken);

    /// <summary>Removes a tag; false where there was none.</summary>
    ValueTask<bool> DeleteTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken);

    /// <summary>The repository's tags in ordinal order; empty for an unknown repository.</summary>
    ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken);

    /// <summary>Every repository that holds anything, in the order of <see cref="RepositoryName.CompareTo"/>.</summary>
    IAsyncEnumerable<RepositoryName> ListRepositoriesAsync(CancellationToken cancellationToken);
}
