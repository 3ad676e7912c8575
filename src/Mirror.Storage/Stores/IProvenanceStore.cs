namespace Mirror.Storage.Stores;

/// <summary>
/// (repository, digest) -> provenance: whether the content was pushed or copied from upstream. In this interface a mark is a provenance
/// record. A mark is written before the link that it describes. So a link without a mark comes from another program, or from an earlier
/// version. Such content counts as pushed, unless upstream has it.
/// </summary>
/// <remarks>
/// A digest may have both marks: then it was pushed. To lose the mark of a copy does no harm, because upstream is asked again. So a link is
/// removed after the mark of a copy, and before the mark of a push: a mark of a copy never describes a link that another program wrote
/// later.
/// </remarks>
public interface IProvenanceStore
{
    /// <summary>Writes a mark, or touches it. A mark of a push survives a power cut when this returns.</summary>
    ValueTask MarkAsync(RepositoryName name, Digest digest, Provenance provenance, CancellationToken cancellationToken);

    /// <summary>How content came into a repository; null where that is not known.</summary>
    ValueTask<Provenance?> FindAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken);

    /// <summary>Removes a mark, if it exists.</summary>
    ValueTask ForgetAsync(RepositoryName name, Digest digest, Provenance provenance, CancellationToken cancellationToken);

    /// <summary>The digests with one mark in a repository, in no particular order.</summary>
    IAsyncEnumerable<Digest> ListAsync(RepositoryName name, Provenance provenance, CancellationToken cancellationToken);

    /// <summary>The repositories that have marks of pushes, in no particular order.</summary>
    IAsyncEnumerable<RepositoryName> ListPushedAsync(CancellationToken cancellationToken);

    /// <summary>
    /// The bytes of the file in which <c>registry:2</c> notes what it has copied from upstream; null where there is none, or a longer one.
    /// </summary>
    ValueTask<byte[]?> ReadScheduleAsync(int maxBytes, CancellationToken cancellationToken);

    /// <summary>Writes that file, for a store that has none.</summary>
    ValueTask WriteScheduleAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);
}
