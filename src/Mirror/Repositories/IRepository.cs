using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.Repositories;

/// <summary>
/// One repository, hosted here or mirrored: what can be read from it, and taken out of it. Null is the definitive "no such content"; a mirrored repository
/// throws <see cref="UpstreamLimitedException"/> and <see cref="UpstreamUnavailableException"/> where it has nothing to answer with.
/// </summary>
public interface IRepository
{
    /// <summary>The name it is stored under.</summary>
    RepositoryName Name { get; }

    ValueTask<Answer<Manifest>?> GetManifestAsync(Reference reference, CancellationToken cancellationToken);

    /// <summary>What a reference names, without fetching its bytes from upstream.</summary>
    ValueTask<Answer<Descriptor>?> HeadManifestAsync(Reference reference, CancellationToken cancellationToken);

    /// <summary>Opens a blob; its bytes may still be on their way.</summary>
    /// <param name="ignoreLease">Whether this replica downloads what is missing, though another one may be about to.</param>
    ValueTask<Answer<Content>?> OpenBlobAsync(Digest digest, bool ignoreLease, CancellationToken cancellationToken);

    /// <summary>A blob's length in bytes (null inside the answer where nobody knows), without fetching its bytes from upstream.</summary>
    ValueTask<Answer<long?>?> HeadBlobAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>One page of the repository's tags; null for a repository that nobody has heard of.</summary>
    /// <param name="count">How many at most; null for all.</param>
    /// <param name="last">The tag to go on behind; null for the first page.</param>
    ValueTask<Answer<TagPage>?> ListTagsAsync(int? count, string? last, CancellationToken cancellationToken);

    /// <summary>One page of the manifests that refer to a manifest, which need not exist; empty where nothing is known of it.</summary>
    /// <param name="artifactType">The only type wanted; null for all.</param>
    /// <param name="last">The digest to go on behind; null for the first page.</param>
    ValueTask<Answer<ReferrerPage>> ListReferrersAsync(Digest subject, string? artifactType, Digest? last, CancellationToken cancellationToken);

    /// <summary>Takes a manifest out, with every tag that names it; false where there is none. A mirrored one is only forgotten.</summary>
    ValueTask<bool> DeleteManifestAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>Takes a tag out; false where there is none. What it named stays.</summary>
    ValueTask<bool> DeleteTagAsync(string tag, CancellationToken cancellationToken);

    /// <summary>Takes a blob out; false where there is none.</summary>
    ValueTask<bool> DeleteBlobAsync(Digest digest, CancellationToken cancellationToken);
}
