namespace Mirror.Storage.Stores;

/// <summary>The pinned images, which no eviction removes: a mark for each repository and tag. A mark survives a power cut.</summary>
public interface IPinStore
{
    /// <summary>Pins an image. The tag need not exist yet.</summary>
    /// <exception cref="IOException">The store takes no writes; also as <see cref="UnauthorizedAccessException"/>.</exception>
    ValueTask PinAsync(RepositoryName name, string tag, CancellationToken cancellationToken);

    /// <summary>Removes a pin; false where there was none.</summary>
    ValueTask<bool> UnpinAsync(RepositoryName name, string tag, CancellationToken cancellationToken);

    /// <summary>Whether an image is pinned.</summary>
    ValueTask<bool> IsPinnedAsync(RepositoryName name, string tag, CancellationToken cancellationToken);

    /// <summary>All pins, in no particular order.</summary>
    IAsyncEnumerable<(RepositoryName Name, string Tag)> ListAsync(CancellationToken cancellationToken);
}
