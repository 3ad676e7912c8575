using Mirror.Storage.Disk;
using Mirror.Storage.Spooling;

namespace Mirror.Storage.Stores;

/// <summary>An upload that was begun and neither finished nor cancelled.</summary>
/// <param name="Length">How many bytes have arrived.</param>
/// <param name="LastWritten">When bytes last arrived, or else when the upload was begun.</param>
public readonly record struct StoredUpload(RepositoryName Name, Guid Id, long Length, DateTimeOffset LastWritten);

/// <summary>The uploads of clients. They outlive the process: the client continues at the offset up to which bytes have arrived.</summary>
public interface IUploadStore
{
    /// <summary>Begins an upload: from now on it can be found, and has no bytes.</summary>
    /// <exception cref="IOException">The store is full, or cannot be written.</exception>
    void Start(RepositoryName name, Guid id, DateTimeOffset now);

    /// <summary>What the volume that holds the uploads has left.</summary>
    /// <exception cref="IOException">The store is away.</exception>
    VolumeRoom Room();

    /// <summary>How many bytes have arrived; null where there is no such upload.</summary>
    ValueTask<long?> LengthAsync(RepositoryName name, Guid id, CancellationToken cancellationToken);

    /// <summary>
    /// Opens the spool of an upload, with the bytes that have arrived; null where there is no such upload. One holder at a time.
    /// </summary>
    /// <param name="algorithm">The hash to compute while bytes arrive.</param>
    Spool? Open(RepositoryName name, Guid id, string algorithm);

    /// <summary>Deletes an upload and its bytes; false where there is no such upload.</summary>
    ValueTask<bool> DeleteAsync(RepositoryName name, Guid id, CancellationToken cancellationToken);

    /// <summary>
    /// Deletes an upload that got no bytes since <paramref name="before"/>, unless a process has it open; false where it stays.
    /// </summary>
    ValueTask<bool> DeleteIdleAsync(RepositoryName name, Guid id, DateTimeOffset before, CancellationToken cancellationToken);

    /// <summary>All uploads, in no particular order.</summary>
    IAsyncEnumerable<StoredUpload> ListAsync(CancellationToken cancellationToken);
}
