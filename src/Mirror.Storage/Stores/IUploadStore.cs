using Mirror.Storage.Spooling;

namespace Mirror.Storage.Stores;

/// <summary>A push that was begun and neither finished nor cancelled.</summary>
/// <param name="LastWritten">When bytes last arrived, or else when it was begun.</param>
public readonly record struct StoredUpload(RepositoryName Name, Guid Id, DateTimeOffset LastWritten);

/// <summary>The pushes on their way in. They outlive the process: what has arrived is the offset to go on from.</summary>
public interface IUploadStore
{
    /// <summary>Begins a push: from now on it can be found, with no bytes yet.</summary>
    /// <exception cref="IOException">The store has no room, or cannot be written.</exception>
    ValueTask StartAsync(RepositoryName name, Guid id, DateTimeOffset now, CancellationToken cancellationToken);

    /// <summary>How many bytes have arrived; null where there is no such push.</summary>
    ValueTask<long?> LengthAsync(RepositoryName name, Guid id, CancellationToken cancellationToken);

    /// <summary>The place for a push's bytes, with those that have arrived; null where there is no such push. One holder at a time.</summary>
    /// <param name="algorithm">The hash to keep while bytes arrive.</param>
    ValueTask<Spool?> OpenAsync(RepositoryName name, Guid id, string algorithm, CancellationToken cancellationToken);

    /// <summary>Forgets a push and what has arrived of it; false where there is no such push.</summary>
    ValueTask<bool> DeleteAsync(RepositoryName name, Guid id, CancellationToken cancellationToken);

    /// <summary>Every push on its way in, in no particular order.</summary>
    IAsyncEnumerable<StoredUpload> ListAsync(CancellationToken cancellationToken);
}
