using Microsoft.Extensions.Caching.Memory;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>
/// A store that hides damaged content. It hashes content that is empty, or that has another length than manifests say; if the digest is
/// wrong, the content counts as missing. A mirrored repository then downloads it again, which replaces the damaged bytes.
/// </summary>
/// <remarks>
/// This store does not find damage that keeps the length. <c>mirror verify</c> reads every byte, and clients verify the digest of what they
/// get.
/// </remarks>
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
    private readonly SingleFlight<Digest, bool> _removing = new();
    // The lengths of damaged content, so that it is hashed once and not for every client.
    private readonly MemoryCache _damaged = new(new MemoryCacheOptions { SizeLimit = MaxDamaged });
    // Nearly no server finds damage: then a hit looks nothing up.
    private volatile bool _anyDamaged;

    public ValueTask<Content?> OpenAsync(Digest digest, CancellationToken cancellationToken) =>
        OpenAsync(digest, sizes[digest], cancellationToken);

    /// <summary>As <see cref="OpenAsync(Digest, CancellationToken)"/>, for a repository, whose manifests tell a length too.</summary>
    public ValueTask<Content?> OpenAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        OpenAsync(digest, sizes[name, digest], cancellationToken);

    public ValueTask<Content?> OpenStoredAsync(Digest digest, CancellationToken cancellationToken) =>
        OpenStoredAsync(digest, sizes[digest], cancellationToken);

    public async ValueTask<long?> SizeAsync(Digest digest, CancellationToken cancellationToken) =>
        await IfRightAsync(digest, await store.SizeAsync(digest, cancellationToken), sizes[digest], cancellationToken);

    public async ValueTask<long?> ReadableSizeAsync(Digest digest, CancellationToken cancellationToken) =>
        await IfRightAsync(digest, await store.ReadableSizeAsync(digest, cancellationToken), sizes[digest], cancellationToken);

    /// <summary>As <see cref="ReadableSizeAsync(Digest, CancellationToken)"/>, for a repository, whose manifests tell a length
    /// too.</summary>
    public async ValueTask<long?> ReadableSizeAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        await IfRightAsync(digest, await store.ReadableSizeAsync(digest, cancellationToken), sizes[name, digest], cancellationToken);

    /// <summary>The length in bytes that recently read manifests of the repository tell of content; null where none does.</summary>
    public long? ExpectedSize(RepositoryName name, Digest digest) => sizes[name, digest];

    public ValueTask<Spool> SpoolAsync(Digest digest, CancellationToken cancellationToken) => store.SpoolAsync(digest, cancellationToken);

    public ValueTask<Spool> SpoolPrivatelyAsync(Digest digest, CancellationToken cancellationToken) =>
        store.SpoolPrivatelyAsync(digest, cancellationToken);

    public async ValueTask CommitAsync(Spool spool, Digest digest, CancellationToken cancellationToken)
    {
        await RemoveDamagedAsync(digest, cancellationToken);
        // Committed content was verified.
        sizes.Prove(digest, spool.Length);
        await store.CommitAsync(spool, digest, cancellationToken);
    }

    public async ValueTask PutAsync(Digest digest, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await store.PutAsync(digest, bytes, cancellationToken);
        _damaged.Remove(digest);
    }

    public ValueTask<bool> TouchAsync(Digest digest, CancellationToken cancellationToken) => store.TouchAsync(digest, cancellationToken);

    public ValueTask<bool> DeleteAsync(Digest digest, CancellationToken cancellationToken) => store.DeleteAsync(digest, cancellationToken);

    public IAsyncEnumerable<Digest> ListAsync(CancellationToken cancellationToken) => store.ListAsync(cancellationToken);

    public void Dispose() => _damaged.Dispose();

    private async ValueTask<Content?> OpenAsync(Digest digest, long? expected, CancellationToken cancellationToken)
    {
        if (await store.OpenAsync(digest, cancellationToken) is not { } content)
            return null;
        if (content.Length is not { } length || LooksRight(digest, length, expected))
            return content;
        // It may be a damaged copy on a local disk.
        await content.DisposeAsync();
        return await OpenStoredAsync(digest, expected, cancellationToken);
    }

    private async ValueTask<Content?> OpenStoredAsync(Digest digest, long? expected, CancellationToken cancellationToken)
    {
        if (await store.OpenStoredAsync(digest, cancellationToken) is not { } content)
            return null;
        var isRight = false;
        try
        {
            isRight = content.Length is not { } length || await IsRightAsync(digest, length, expected, cancellationToken);
            return isRight ? content : null;
        }
        finally
        {
            if (!isRight)
                await content.DisposeAsync();
        }
    }

    // Null for damaged content.
    private async ValueTask<long?> IfRightAsync(Digest digest, long? stored, long? expected, CancellationToken cancellationToken) =>
        stored is { } length && await IsRightAsync(digest, length, expected, cancellationToken) ? length : null;

    private async ValueTask<bool> IsRightAsync(Digest digest, long length, long? expected, CancellationToken cancellationToken) =>
        LooksRight(digest, length, expected)
        || !IsKnownDamaged(digest, length)
        && (await _hashing.JoinOrStart(digest, stop => HashAsync(digest, length, stop), cancellationToken)).Result;

    // Known damage first: a look without an expected length must find the same as the one that found the damage.
    private bool LooksRight(Digest digest, long length, long? expected) =>
        !IsKnownDamaged(digest, length) && (expected is null ? length > 0 : length == expected);

    private bool IsKnownDamaged(Digest digest, long length) =>
        _anyDamaged && _damaged.TryGetValue(digest, out long damaged) && damaged == length;

    // A bucket leaves an object as it is whose length is right. One that is known to be damaged goes before the commit. It is hashed again
    // first: another process may have replaced it. Commits at the same time share this, so that none deletes what another one has stored.
    private async ValueTask RemoveDamagedAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (_anyDamaged && _damaged.TryGetValue(digest, out _))
            await _removing.JoinOrStart(digest, stop => RemoveOnceAsync(digest, stop), cancellationToken);
    }

    private async Task<bool> RemoveOnceAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (!_damaged.TryGetValue(digest, out _))
            return false;
        var isDamaged = await store.VerifyAsync(digest, cancellationToken) == Verification.Damaged;
        if (isDamaged)
            await store.DeleteAsync(digest, cancellationToken);
        _damaged.Remove(digest);
        return isDamaged;
    }

    private async Task<bool> HashAsync(Digest digest, long length, CancellationToken cancellationToken)
    {
        if (await store.VerifyAsync(digest, cancellationToken) != Verification.Damaged)
        {
            sizes.Prove(digest, length);
            return true;
        }
        _damaged.Set(digest, length, new MemoryCacheEntryOptions { Size = 1 });
        _anyDamaged = true;
        LogDamaged(digest.ToString(), length);
        return false;
    }

    [LoggerMessage(Level = LogLevel.Error,
        Message = "stored content {Digest} is damaged: its {Length} bytes have another digest, so the server does not serve it; it "
            + "downloads content of upstream again; if a client pushed it, push again the images that need it")]
    private partial void LogDamaged(string digest, long length);
}
