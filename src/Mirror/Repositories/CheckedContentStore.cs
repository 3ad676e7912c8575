using Microsoft.Extensions.Caching.Memory;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>
/// A store that hides damaged content. It hashes content that is empty, or that has another length than manifests say; if the digest is
/// wrong, the content counts as missing. A mirrored repository then downloads it again, which overwrites the damaged bytes.
/// </summary>
/// <remarks>Damage that keeps the length is not found. <c>mirror verify</c> reads every byte, and clients verify what they
/// get.</remarks>
public sealed partial class CheckedContentStore(IContentStore store, ExpectedSizes sizes, ILogger<CheckedContentStore> log)
    : IContentStore, IDisposable
{
    /// <summary>
    /// The service key of the store that hides nothing. A sweep needs it, because a hidden manifest would seem to refer to nothing; so does
    /// verification, which looks for damage.
    /// </summary>
    public const string Unchecked = "unchecked";

    private const int MaxDamaged = 10_000;

    private readonly SingleFlight<Digest, bool> _hashing = new();
    // The lengths of damaged content, so that it is hashed once and not for every client.
    private readonly MemoryCache _damaged = new(new MemoryCacheOptions { SizeLimit = MaxDamaged });

    public async ValueTask<Content?> OpenAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (await store.OpenAsync(digest, cancellationToken) is not { } content)
            return null;
        if (content.Length is not { } length || IsPlausible(digest, length) || await IsRightAsync(digest, length, cancellationToken))
            return content;
        await content.DisposeAsync();
        return null;
    }

    public async ValueTask<long?> SizeAsync(Digest digest, CancellationToken cancellationToken) =>
        await store.SizeAsync(digest, cancellationToken) is { } length
            && (IsPlausible(digest, length) || await IsRightAsync(digest, length, cancellationToken))
            ? length
            : null;

    public ValueTask<Spool> SpoolAsync(Digest digest, CancellationToken cancellationToken) => store.SpoolAsync(digest, cancellationToken);

    public ValueTask<Spool> SpoolPrivatelyAsync(Digest digest, CancellationToken cancellationToken) =>
        store.SpoolPrivatelyAsync(digest, cancellationToken);

    public ValueTask CommitAsync(Spool spool, Digest digest, CancellationToken cancellationToken) =>
        store.CommitAsync(spool, digest, cancellationToken);

    public ValueTask PutAsync(Digest digest, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        store.PutAsync(digest, bytes, cancellationToken);

    public ValueTask<bool> TouchAsync(Digest digest, CancellationToken cancellationToken) => store.TouchAsync(digest, cancellationToken);

    public ValueTask<bool> DeleteAsync(Digest digest, CancellationToken cancellationToken) => store.DeleteAsync(digest, cancellationToken);

    public IAsyncEnumerable<Digest> ListAsync(CancellationToken cancellationToken) => store.ListAsync(cancellationToken);

    public void Dispose() => _damaged.Dispose();

    private bool IsPlausible(Digest digest, long length) => sizes[digest] is { } expected ? length == expected : length > 0;

    private async Task<bool> IsRightAsync(Digest digest, long length, CancellationToken cancellationToken)
    {
        if (_damaged.TryGetValue(digest, out long damaged) && damaged == length)
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
        _damaged.Set(digest, length, new MemoryCacheEntryOptions { Size = 1 });
        LogDamaged(digest.ToString(), length, sizes[digest]);
        return false;
    }

    [LoggerMessage(Level = LogLevel.Error,
        Message = "stored content {Digest} is damaged: {Length} bytes, expected {Expected}; hidden, and downloaded again if mirrored")]
    private partial void LogDamaged(string digest, long length, long? expected);
}
