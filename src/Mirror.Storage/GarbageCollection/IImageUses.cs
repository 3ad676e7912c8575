namespace Mirror.Storage.GarbageCollection;

/// <summary>When clients pulled images. It gives an eviction its order, and is never the authority: what it does not know, the dates in the
/// store tell.</summary>
public interface IImageUses
{
    /// <summary>Tells each manifest's last pull, as far as it is known; by tag counts for the manifest that the tag names.</summary>
    /// <param name="pulled">Gets the repository, the manifest, and the time by this machine's clock.</param>
    /// <param name="isUrgent">Whether downloads wait for room, so that two seconds must do; else it takes up to a minute.</param>
    /// <returns>Whether all pulls are known that the server has noted.</returns>
    ValueTask<bool> ReadAsync(
        Action<RepositoryName, Digest, DateTimeOffset> pulled, bool isUrgent, CancellationToken cancellationToken);
}
