namespace Mirror.Storage.Stores;

/// <summary>
/// Subject -> the manifests that refer to it (OCI distribution-spec 1.1.1, "Listing Referrers"). Only an index: an entry counts as long as its
/// manifest is linked into the same repository, and is written before that, so that no linked manifest is ever missing from it.
/// </summary>
public interface IReferrerStore
{
    /// <summary>Enters a manifest under its subject.</summary>
    /// <param name="descriptor">The descriptor to list it with, as JSON.</param>
    ValueTask AddAsync(RepositoryName name, Digest subject, Digest referrer, ReadOnlyMemory<byte> descriptor, CancellationToken cancellationToken);

    /// <summary>Takes a manifest from its subject; false where it was not there.</summary>
    ValueTask<bool> RemoveAsync(RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken);

    /// <summary>What refers to a subject, in no particular order; empty for an unknown one.</summary>
    ValueTask<IReadOnlyList<Digest>> ListAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken);

    /// <summary>The descriptor that a manifest was entered with, as JSON; null where there is none.</summary>
    ValueTask<byte[]?> ReadAsync(RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken);
}
