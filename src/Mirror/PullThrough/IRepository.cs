using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// The reading side of one repository, hosted here or mirrored. Null is the definitive "no such content"; a mirrored repository
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
    ValueTask<Answer<Content>?> OpenBlobAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>A blob's length in bytes (null inside the answer where nobody knows), without fetching its bytes from upstream.</summary>
    ValueTask<Answer<long?>?> HeadBlobAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>One page of the repository's tags; null for a repository that nobody has heard of.</summary>
    /// <param name="count">How many at most; null for all.</param>
    /// <param name="last">The tag to go on behind; null for the first page.</param>
    ValueTask<Answer<TagPage>?> ListTagsAsync(int? count, string? last, CancellationToken cancellationToken);
}
