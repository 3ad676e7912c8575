namespace Mirror.Storage.Stores;

/// <summary>Name -> digest: which repository may serve which content (links), and what its tags name. Writes survive a power cut.</summary>
public interface IReferenceStore
{
    /// <summary>Whether a repository has content, or ever had.</summary>
    ValueTask<bool> ExistsAsync(RepositoryName name, CancellationToken cancellationToken);

    /// <summary>Every repository that has content, in the order of <see cref="RepositoryName.CompareTo"/>.</summary>
    IAsyncEnumerable<RepositoryName> ListRepositoriesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// As <see cref="ListRepositoriesAsync"/>, for requests of clients: the repositories lexically after a text. If the store can, it does
    /// not read those before this text.
    /// </summary>
    /// <param name="after">Any text; empty for all repositories.</param>
    IAsyncEnumerable<RepositoryName> ListRepositoriesAfterAsync(string after, CancellationToken cancellationToken) =>
        ListRepositoriesAsync(cancellationToken).Where(name => string.CompareOrdinal(name.ToString(), after) > 0);

    /// <summary>Lets a repository serve a blob, or touches its link.</summary>
    ValueTask LinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Whether a repository may serve a blob.</summary>
    ValueTask<bool> HasBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Gives a blob's link today's date; false where there is none. See <see cref="IContentStore.TouchAsync"/>.</summary>
    ValueTask<bool> TouchBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Removes a blob's link; false where there was none. The content stays.</summary>
    ValueTask<bool> UnlinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Lets a repository serve a manifest, or touches its link.</summary>
    /// <param name="mediaType">The media type to serve it with; null where the manifest itself gives it.</param>
    ValueTask LinkManifestAsync(RepositoryName name, Digest digest, string? mediaType, CancellationToken cancellationToken);

    /// <summary>Whether the repository may serve the manifest, and the media type with which it was linked.</summary>
    ValueTask<(bool Linked, string? MediaType)> FindManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Gives a manifest's link today's date; false where there is none. See <see cref="IContentStore.TouchAsync"/>.</summary>
    ValueTask<bool> TouchManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Removes a manifest's link; false where there was none. Tags that name it stay: the caller deletes them.</summary>
    ValueTask<bool> UnlinkManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>The digest that a tag names; null where there is no such tag.</summary>
    ValueTask<Digest?> ResolveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken);

    /// <summary>Sets a tag to a manifest of the repository.</summary>
    ValueTask SetTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken);

    /// <summary>Deletes a tag; false where there was none.</summary>
    ValueTask<bool> DeleteTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken);

    /// <summary>The repository's tags in ordinal order; empty for an unknown repository.</summary>
    /// <exception cref="UnreadableException">This process may not read the tags.</exception>
    ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken);

    /// <summary>
    /// As <see cref="ListTagsAsync(RepositoryName, CancellationToken)"/>, for requests of clients: a store may remember the list. What must
    /// not miss a tag, such as a garbage collection, reads the other one.
    /// </summary>
    ValueTask<IReadOnlyList<string>> ListTagsForClientAsync(RepositoryName name, CancellationToken cancellationToken) =>
        ListTagsAsync(name, cancellationToken);

    /// <summary>
    /// The tags that may name a manifest: all that name it, and perhaps others. A bucket finds them without a request for each tag.
    /// </summary>
    ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, Digest manifest, CancellationToken cancellationToken) =>
        ListTagsAsync(name, cancellationToken);
}
