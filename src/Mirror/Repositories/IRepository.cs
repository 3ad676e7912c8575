using Mirror.Storage;

namespace Mirror.Repositories;

/// <summary>
/// One repository, hosted or mirrored: what can be read and deleted. Null means that the content does not exist. A mirrored repository
/// throws <c>UpstreamLimitedException</c> or <c>UpstreamUnavailableException</c> where upstream gives no answer and nothing stored can be
/// served.
/// </summary>
public interface IRepository
{
    /// <summary>The name it is stored under.</summary>
    RepositoryName Name { get; }

    ValueTask<Answer<Manifest>?> GetManifestAsync(Reference reference, CancellationToken cancellationToken);

    /// <summary>The descriptor of a manifest, without downloading it from upstream.</summary>
    ValueTask<Answer<Descriptor>?> HeadManifestAsync(Reference reference, CancellationToken cancellationToken);

    /// <summary>Opens a blob. It may still be downloading.</summary>
    /// <param name="ignoreLease">Whether this replica downloads a missing blob even if another replica has the lease for it.</param>
    ValueTask<Answer<Content>?> OpenBlobAsync(Digest digest, bool ignoreLease, CancellationToken cancellationToken);

    /// <summary>Notes that a client reads a stored blob which this server does not open for it.</summary>
    /// <returns>False if the blob is being deleted, or may be. Then the caller has to open it.</returns>
    ValueTask<bool> TryNoteRedirectAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>A blob's length in bytes, without downloading it; null inside the answer where upstream does not tell.</summary>
    ValueTask<Answer<long?>?> HeadBlobAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>One page of the repository's tags; null for an unknown repository.</summary>
    /// <param name="count">How many at most; null for all.</param>
    /// <param name="last">The last tag of the previous page; null for the first page.</param>
    ValueTask<Answer<TagPage>?> ListTagsAsync(int? count, string? last, CancellationToken cancellationToken);

    /// <summary>One page of the manifests that refer to <paramref name="subject"/>, which need not exist.</summary>
    /// <param name="artifactType">Only manifests of this type; null for all.</param>
    /// <param name="last">The last digest of the previous page; null for the first page.</param>
    ValueTask<Answer<ReferrerPage>> ListReferrersAsync(
        Digest subject, string? artifactType, Digest? last, CancellationToken cancellationToken);

    /// <summary>Deletes a manifest and every tag that names it; false where there is none. A mirrored one can be fetched again.</summary>
    /// <param name="condition">Gets the digest before the manifest is deleted. If it throws, nothing is deleted.</param>
    ValueTask<bool> DeleteManifestAsync(Digest digest, Action<Digest?>? condition, CancellationToken cancellationToken);

    /// <summary>Deletes a tag, but not its manifest; false where there is none.</summary>
    /// <param name="condition">Gets the digest that the stored tag names, before it is deleted. If it throws, nothing is deleted.</param>
    ValueTask<bool> DeleteTagAsync(string tag, Action<Digest?>? condition, CancellationToken cancellationToken);

    /// <summary>Deletes a blob from the repository; false where there is none.</summary>
    ValueTask<bool> DeleteBlobAsync(Digest digest, CancellationToken cancellationToken);
}
