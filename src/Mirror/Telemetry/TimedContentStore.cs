using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;
using static Mirror.Telemetry.StorageTimer;

namespace Mirror.Telemetry;

/// <summary>A content store whose calls are timed. As in <c>registry:3</c>, transfers of bytes and full walks are not.</summary>
internal sealed class TimedContentStore(IContentStore store, StorageTimer timer) : IContentStore
{
    public ValueTask<Content?> OpenAsync(Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(GetContent, Now, store.OpenAsync(digest, cancellationToken));

    public ValueTask<Content?> OpenStoredAsync(Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(GetContent, Now, store.OpenStoredAsync(digest, cancellationToken));

    public ValueTask<long?> SizeAsync(Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(Stat, Now, store.SizeAsync(digest, cancellationToken));

    public ValueTask<long?> ReadableSizeAsync(Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(Stat, Now, store.ReadableSizeAsync(digest, cancellationToken));

    public ValueTask<Spool> SpoolAsync(Digest digest, CancellationToken cancellationToken) => store.SpoolAsync(digest, cancellationToken);

    public ValueTask<Spool> SpoolPrivatelyAsync(Digest digest, CancellationToken cancellationToken) =>
        store.SpoolPrivatelyAsync(digest, cancellationToken);

    public ValueTask CommitAsync(Spool spool, Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(Move, Now, store.CommitAsync(spool, digest, cancellationToken));

    public ValueTask PutAsync(Digest digest, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        timer.Measure(PutContent, Now, store.PutAsync(digest, bytes, cancellationToken));

    public ValueTask<bool> TouchAsync(Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(PutContent, Now, store.TouchAsync(digest, cancellationToken));

    public ValueTask<bool> DeleteAsync(Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(Delete, Now, store.DeleteAsync(digest, cancellationToken));

    public IAsyncEnumerable<Digest> ListAsync(CancellationToken cancellationToken) => store.ListAsync(cancellationToken);
}
