using Microsoft.Extensions.Caching.Memory;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>
/// A store whose content is looked at before it is given out: content without a byte, or of another length than manifests say, is hashed, and
/// where it is wrong it is as good as not there. What is mirrored is then fetched again, over the wrong bytes.
/// </summary>
/// <remarks>Damage that leaves the length alone is not seen here: <c>mirror verify</c> reads every byte, and every client checks what it gets.</remarks>
public sealed partial class CheckedContentStore(IContentStore store, ExpectedSizes sizes, ILogger<CheckedContentStore> log) : IContentStore, IDisposable
{
    /// <summary>
    /// The key of the store itself, for those whom the server's own, which hides damaged content, would mislead: to a sweep
    /// a damaged manifest would look like one that refers to nothing, and verification would find nothing.
    /// </summary>
    public const string Unchecked = "unchecked";

    private const int MaxKnownWrong = 10_000;

    private readonly SingleFlight<Digest, bool> _hashing = new();
    // So that what is wrong is hashed once and not for every client, until something is done about it.
    private readonly MemoryCache _wrong = new(new MemoryCacheOptions { SizeLimit = MaxKnownWrong });

    public async ValueTask<Content?> OpenAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (await store.OpenAsync(digest, cancellationToken) is not { } content)
            return null;
        if (content.Length is not { } length || IsLikely(digest, length) || await IsRightAsync(digest, length, cancellationToken))
            return content;
        await content.DisposeAsync();
        return null;
    }

    public async ValueTask<long?> SizeAsync(Digest digest, CancellationToken cancellationToken) =>
        await store.SizeAsync(digest, cancellationToken) is { } length && (IsLikely(digest, length) || await IsRightAsync(digest, length, cancellationToken))
            ? length
            : null;

    public ValueTask<Spool> SpoolAsync(Digest digest, CancellationToken cancellationToken) => store.SpoolAsync(digest, cancellationToken);

    public ValueTask<Spool> SpoolPrivatelyAsync(Digest digest, CancellationToken cancellationToken) => store.SpoolPrivatelyAsync(digest, cancellationToken);

    public ValueTask CommitAsync(Spool spool, Digest digest, CancellationToken cancellationToken) => store.CommitAsync(spool, digest, cancellationToken);

    public ValueTask PutAsync(Digest digest, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => store.PutAsync(digest, bytes, cancellationToken);

    public ValueTask<bool> TouchAsync(Digest digest, CancellationToken cancellationToken) => store.TouchAsync(digest, cancellationToken);

    public ValueTask<bool> DeleteAsync(Digest digest, CancellationToken cancellationToken) => store.DeleteAsync(digest, cancellationToken);

    public IAsyncEnumerable<Digest> ListAsync(CancellationToken cancellationToken) => store.ListAsync(cancellationToken);

    public void Dispose() => _wrong.Dispose();

    private bool IsLikely(Digest digest, long length) => sizes[digest] is { } said ? length == said : length > 0;

    private async Task<bool> IsRightAsync(Digest digest, long length, CancellationToken cancellationToken)
    {
        if (_wrong.TryGetValue(digest, out long wrong) && wrong == length)
            return false;
        return (await _hashing.JoinOrStart(digest, stop => HashAsync(digest, length, stop), cancellationToken)).Result;
    }

    private async Task<bool> HashAsync(Digest digest, long length, CancellationToken cancellationToken)
    {
        if (await store.VerifyAsync(digest, cancellationToken) != Verification.Damaged)
        {
            sizes.MarkVerified(digest, length);
            return true;
        }
        _wrong.Set(digest, length, new MemoryCacheEntryOptions { Size = 1 });
        LogCorrupt(digest.ToString(), length, sizes[digest]);
        return false;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "the stored content of {Digest} is damaged: it has {Length} bytes where {Said} were stored; it is not served, and fetched again where it is mirrored")]
    private partial void LogCorrupt(string digest, long length, long? said);
}
