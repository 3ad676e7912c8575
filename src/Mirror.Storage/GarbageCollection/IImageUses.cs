namespace Mirror.Storage.GarbageCollection;

/// <summary>When clients pulled images. It gives an eviction its order, and is never the authority: what it does not know, the dates in the
/// store tell.</summary>
public interface IImageUses
{
    /// <summary>Tells each manifest's last pull, as far as it is known; by tag counts for the manifest that the tag names.</summary>
    /// <param name="pulled">Gets the repository, the manifest, and the time by this machine's clock.</param>
    ValueTask ReadAsync(Action<RepositoryName, Digest, DateTimeOffset> pulled, CancellationToken cancellationToken);
}
