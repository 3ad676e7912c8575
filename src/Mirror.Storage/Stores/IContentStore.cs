using Mirror.Storage.Spooling;

namespace Mirror.Storage.Stores;

/// <summary>Digest -> bytes. What is in a store was verified against its digest before it got there.</summary>
public interface IContentStore
{
    /// <summary>Opens stored content; null where there is none.</summary>
    ValueTask<Content?> OpenAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>The length of stored content in bytes; null where there is none.</summary>
    ValueTask<long?> SizeAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>
    /// A place for bytes on their way in to <paramref name="digest"/>. What an earlier process left there is kept: see <see cref="Spool.Length"/>.
    /// </summary>
    /// <exception cref="IOException">The store has no room, or cannot be written.</exception>
    ValueTask<Spool> SpoolAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>
    /// An empty place for bytes that somebody else is about to store: nothing is sent ahead, and nothing found again by a later process. It may be
    /// committed all the same.
    /// </summary>
    /// <exception cref="IOException">The store has no room, or cannot be written.</exception>
    ValueTask<Spool> SpoolPrivatelyAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>
    /// Publishes a spool under its digest, atomically: once this returns the content survives a power cut, and before that nobody sees it.
    /// Publishing what is already stored is not an error. The caller has verified the spool.
    /// </summary>
    /// <exception cref="IOException">The store has no room, or cannot be written; the content is not stored.</exception>
    ValueTask CommitAsync(Spool spool, Digest digest, CancellationToken cancellationToken);

    /// <summary>Stores small content at hand, such as a manifest, with the promise of <see cref="CommitAsync"/>.</summary>
    /// <exception cref="ArgumentException">The bytes are not what the digest names.</exception>
    ValueTask PutAsync(Digest digest, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>
    /// Makes content as young as if it had just been stored; false where there is none. A sweep (<see cref="GarbageCollection.Sweeper"/>) leaves what is
    /// young, so this is how to lay claim to content that nothing names yet. Committing and putting claim as well.
    /// </summary>
    ValueTask<bool> TouchAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>Removes content; false where there was none.</summary>
    ValueTask<bool> DeleteAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>All that is stored, in no particular order.</summary>
    IAsyncEnumerable<Digest> ListAsync(CancellationToken cancellationToken);
}
