using System.Runtime.CompilerServices;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// Content as objects of a bucket. Content on its way in is a local spool first, which clients follow. Meanwhile the parts of a long one go
/// to the bucket. An object appears whole or not at all.
/// </summary>
public sealed class BucketContentStore : IContentStore
{
    private readonly IBucket _bucket;
    private readonly BucketOptions _options;
    private readonly BucketPushProtection _claims;
    private readonly BucketReads _reads;
    private readonly LocalCache? _cache;
    private readonly ConditionalWeakTable<Spool, BucketUpload> _uploads = [];

    /// <param name="time">The clock of time limits.</param>
    public BucketContentStore(IBucket bucket, BucketOptions options, TimeProvider time)
    {
        (_bucket, _options, _claims, _reads) = (bucket, options, new(bucket, time), new(bucket, time));
        _cache = options.LocalCache.Path is { } folder ? new LocalCache(folder, options.LocalCache.MaxSize) : null;
    }

    public async ValueTask<Content?> OpenAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (_cache?.IsUnchecked(digest) == true)
            await CheckLengthAsync(_cache, digest, cancellationToken);
        return _cache?.TryOpen(digest) is { } copy
            ? new LocalCopy(copy, stop => OpenStoredAsync(digest, stop))
            : await OpenObjectAsync(digest, cancellationToken);
    }

    public async ValueTask<Content?> OpenStoredAsync(Digest digest, CancellationToken cancellationToken)
    {
        var stored = await OpenObjectAsync(digest, cancellationToken);
        // Not before the bucket has answered: while it is away, the copy may be all that there is.
        _cache?.Remove(digest);
        return stored;
    }

    // The copy is from an earlier process, and the disk may have lost some of it, such as in a power cut.
    private async ValueTask CheckLengthAsync(LocalCache cache, Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            cache.Check(digest, await _bucket.SizeAsync(RegistryLayout.BlobData(digest), cancellationToken));
        }
        catch (StoreUnavailableException)
        {
            // The copy is all that there is. It is checked when the bucket is back.
        }
    }

    private async ValueTask<Content?> OpenObjectAsync(Digest digest, CancellationToken cancellationToken)
    {
        var path = RegistryLayout.BlobData(digest);
        if (await _bucket.SizeAsync(path, cancellationToken) is not { } length)
            return null;
        var stored = new BucketContent(_reads, path, length);
        return _cache is null ? stored : new CachingContent(stored, length, digest, _cache);
    }

    public async ValueTask<long?> SizeAsync(Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            var length = await _bucket.SizeAsync(RegistryLayout.BlobData(digest), cancellationToken);
            // A sweep or another replica deleted it.
            if (length is null)
                _cache?.Remove(digest);
            return length;
        }
        catch (StoreUnavailableException)
        {
            // The bucket decides whether content is stored. While it is away, its last answer holds: the cache has what it had.
            if (_cache?.Length(digest) is { } length)
                return length;
            throw;
        }
    }

    public ValueTask<Spool> SpoolAsync(Digest digest, CancellationToken cancellationToken)
    {
        var spool = Spool.OpenOrPrivate(SpoolPath(digest), digest.Algorithm);
        var upload = new BucketUpload(_bucket, spool, RegistryLayout.BlobData(digest), _options.ChunkSize);
        _uploads.Add(spool, upload);
        upload.SendWhileGrowing();
        return ValueTask.FromResult(spool);
    }

    public ValueTask<Spool> SpoolPrivatelyAsync(Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Spool.OpenPrivate(SpoolPath(digest), digest.Algorithm));

    private string SpoolPath(Digest digest)
    {
        var folder = Path.Combine(_options.Scratch, digest.Algorithm);
        Directory.CreateDirectory(folder);
        return Path.Combine(folder, digest.Hex);
    }

    public async ValueTask CommitAsync(Spool spool, Digest digest, CancellationToken cancellationToken)
    {
        var path = RegistryLayout.BlobData(digest);
        // A push learns its digest last, so all its bytes are uploaded now.
        var upload = _uploads.TryGetValue(spool, out var following) && following.Path == path
            ? following
            : new BucketUpload(_bucket, spool, path, _options.ChunkSize);
        // Before the upload, which leaves an existing object as it is, with its old date.
        await _claims.ClaimAsync(digest, cancellationToken);
        await upload.CommitAsync(cancellationToken);
        if (_cache is null || !_cache.TryAdmit(spool, digest))
            spool.Delete();
    }

    public async ValueTask PutAsync(Digest digest, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (Digest.Of(bytes.Span, digest.Algorithm) != digest)
            throw new ArgumentException($"The bytes are not {digest}.", nameof(bytes));
        await _claims.ClaimAsync(digest, cancellationToken);
        var (path, copy) = (RegistryLayout.BlobData(digest), bytes.ToArray());
        await _bucket.PutContentAsync(path, copy, cancellationToken);
        _cache?.TryAdd(digest, copy);
    }

    public async ValueTask<bool> TouchAsync(Digest digest, CancellationToken cancellationToken)
    {
        await _claims.ClaimAsync(digest, cancellationToken);
        return await _bucket.ExistsAsync(RegistryLayout.BlobData(digest), cancellationToken);
    }

    public ValueTask<bool> DeleteAsync(Digest digest, CancellationToken cancellationToken)
    {
        _cache?.Remove(digest);
        return _bucket.TryDeleteAsync(RegistryLayout.BlobData(digest), cancellationToken);
    }

    public async IAsyncEnumerable<Digest> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var algorithm in Digest.Algorithms)
            await foreach (var (path, _, _) in _bucket.ListFolderAsync(RegistryLayout.Blobs(algorithm), cancellationToken))
                if (path.Split('/') is [.., var hex, "data"] && Digest.TryParse($"{algorithm}:{hex}", out var digest))
                    yield return digest;
    }
}
