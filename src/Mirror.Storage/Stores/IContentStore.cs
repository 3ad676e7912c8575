using Mirror.Storage.Spooling;

namespace Mirror.Storage.Stores;

/// <summary>Digest -> bytes. All content was verified against its digest before it was stored.</summary>
public interface IContentStore
{
    /// <summary>Opens stored content; null where there is none.</summary>
    ValueTask<Content?> OpenAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>
    /// As <see cref="OpenAsync"/>, for a caller to whom that gave wrong bytes: opens what the store itself has. A store that keeps copies
    /// on a local disk removes its copy, which may be damaged although the stored content is intact.
    /// </summary>
    ValueTask<Content?> OpenStoredAsync(Digest digest, CancellationToken cancellationToken) => OpenAsync(digest, cancellationToken);

    /// <summary>The length of stored content in bytes; null where there is none.</summary>
    ValueTask<long?> SizeAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>As <see cref="SizeAsync"/>, for a client that may want to read the content.</summary>
    /// <exception cref="UnreadableException">This process may not read the content.</exception>
    ValueTask<long?> ReadableSizeAsync(Digest digest, CancellationToken cancellationToken) => SizeAsync(digest, cancellationToken);

    /// <summary>
    /// Opens a spool for the bytes of <paramref name="digest"/>. It keeps what an earlier fill left: see <see cref="Spool.Length"/>. If
    /// another process has that spool open, this opens an empty one with a random name.
    /// </summary>
    /// <exception cref="IOException">The store is full, or cannot be written.</exception>
    ValueTask<Spool> SpoolAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>
    /// Opens an empty spool for content that another process is about to store. A bucket store sends none of its bytes to the bucket before
    /// the commit. No later fill resumes it.
    /// </summary>
    /// <exception cref="IOException">The store is full, or cannot be written.</exception>
    ValueTask<Spool> SpoolPrivatelyAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>
    /// Stores a spool under its digest in one step: a reader sees all of the content or none of it. When this returns, the content survives
    /// a power cut. A reader may see it a moment before that. Content that is stored already is touched, and replaced where it is known to
    /// be damaged. The caller has verified the spool.
    /// </summary>
    /// <exception cref="IOException">The store is full, or cannot be written; the content is not stored.</exception>
    ValueTask CommitAsync(Spool spool, Digest digest, CancellationToken cancellationToken);

    /// <summary>Stores small content, such as a manifest, with the promise of <see cref="CommitAsync"/>.</summary>
    /// <exception cref="ArgumentException">The bytes are not what the digest names.</exception>
    ValueTask PutAsync(Digest digest, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>
    /// Protects content from a sweep in the same way as newly stored content: a folder sets the file's time to now, a bucket writes a
    /// claim. Returns false if the store does not have it. <see cref="CommitAsync"/> and <see cref="PutAsync"/> touch the content as well.
    /// </summary>
    ValueTask<bool> TouchAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>Deletes content; false where there was none.</summary>
    ValueTask<bool> DeleteAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>Everything that is stored, in no particular order.</summary>
    IAsyncEnumerable<Digest> ListAsync(CancellationToken cancellationToken);
}
