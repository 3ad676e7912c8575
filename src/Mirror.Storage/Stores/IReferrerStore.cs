namespace Mirror.Storage.Stores;

/// <summary>
/// Subject -> the manifests that refer to it (OCI distribution-spec 1.1.1, "Listing Referrers"). This is only an index. An entry counts
/// while its manifest is linked into the same repository. The entry is written before the link, so every linked manifest has its entry.
/// </summary>
public interface IReferrerStore
{
    /// <summary>Adds a manifest to its subject.</summary>
    /// <param name="descriptor">The descriptor that the list of referrers shows, as JSON.</param>
    ValueTask AddAsync(
        RepositoryName name, Digest subject, Digest referrer, ReadOnlyMemory<byte> descriptor, CancellationToken cancellationToken);

    /// <summary>Removes a manifest from its subject; false where there was no entry.</summary>
    ValueTask<bool> RemoveAsync(RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken);

    /// <summary>The manifests that refer to a subject, in no particular order; empty for an unknown subject.</summary>
    /// <exception cref="UnreadableException">This process may not read them.</exception>
    ValueTask<IReadOnlyList<Digest>> ListAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken);

    /// <summary>The descriptor of an entry, as JSON; null where there is none.</summary>
    /// <exception cref="UnreadableException">This process may not read it.</exception>
    ValueTask<byte[]?> ReadAsync(RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken);
}
