using System.Runtime.CompilerServices;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// Content as objects of a bucket. What is on its way in is a local file first, which clients follow; the parts of a long one go to the bucket
/// meanwhile. An object appears whole or not at all.
/// </summary>
public sealed class BucketContentStore : IContentStore
{
    private readonly S3Bucket _bucket;
    private readonly BucketPushProtection _claims;
    private readonly LocalCache? _cache;
    private readonly TimeProvider _time;
    private readonly ConditionalWeakTable<Spool, S3Upload> _uploads = [];

    public BucketContentStore(S3Bucket bucket, TimeProvider time)
    {
        var options = bucket.Options;
        (_bucket, _claims, _time) = (bucket, new(bucket), time);
        _cache = options.LocalCache.Path is { } folder ? new LocalCache(folder, options.LocalCache.MaxSize) : null;
    }

    public async ValueTask<Content?> OpenAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (_cache?.TryOpen(digest) is { } local)
            return local;
        var path = RegistryLayout.BlobData(digest);
        if (await _bucket.SizeAsync(path, cancellationToken) is not { } length)
            return null;
        var stored = new BucketContent(_bucket, path, length, _time);
        return _cache is null ? stored : new CachingContent(stored, length, digest, _cache);
    }

    public async ValueTask<long?> SizeAsync(Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            return await _bucket.SizeAsync(RegistryLayout.BlobData(digest), cancellationToken);
        }
        catch (StoreUnavailableException)
        {
            // Whether it is stored is the bucket's to say, and this is what it said last.
            if (_cache?.Length(digest) is { } length)
                return length;
            throw;
        }
    }

    public ValueTask<Spool> SpoolAsync(Digest digest, CancellationToken cancellationToken)
    {
        var spool = Spool.OpenOrPrivate(ScratchOf(digest), digest.Algorithm);
        var upload = new S3Upload(_bucket, spool, RegistryLayout.BlobData(digest), _bucket.Options.ChunkSize);
        _uploads.Add(spool, upload);
        upload.Follow();
        return ValueTask.FromResult(spool);
    }

    public ValueTask<Spool> SpoolPrivatelyAsync(Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Spool.OpenPrivate(ScratchOf(digest), digest.Algorithm));

    private string ScratchOf(Digest digest)
    {
        var folder = Path.Combine(_bucket.Options.Scratch, digest.Algorithm);
        Directory.CreateDirectory(folder);
        return Path.Combine(folder, digest.Hex);
    }

    public async ValueTask CommitAsync(Spool spool, Digest digest, CancellationToken cancellationToken)
    {
        var path = RegistryLayout.BlobData(digest);
        // A push spools without a digest: its bytes all go now.
        var upload = _uploads.TryGetValue(spool, out var following) && following.Path == path
            ? following
            : new S3Upload(_bucket, spool, path, _bucket.Options.ChunkSize);
        // First: what is there already is left as it is, however old.
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
        await _bucket.Writer.PutAsync(RegistryLayout.BlobData(digest), bytes.ToArray(), onlyNew: true, cancellationToken);
        _cache?.TryAdd(digest, bytes.Span);
    }

    public async ValueTask<bool> TouchAsync(Digest digest, CancellationToken cancellationToken)
    {
        await _claims.ClaimAsync(digest, cancellationToken);
        return await _bucket.SizeAsync(RegistryLayout.BlobData(digest), cancellationToken) is not null;
    }

    public async ValueTask<bool> DeleteAsync(Digest digest, CancellationToken cancellationToken)
    {
        _cache?.Remove(digest);
        var path = RegistryLayout.BlobData(digest);
        if (await _bucket.SizeAsync(path, cancellationToken) is null)
            return false;
        await _bucket.DeleteAsync(path, cancellationToken);
        return true;
    }

    public async IAsyncEnumerable<Digest> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var algorithm in Digest.Algorithms)
            await foreach (var (path, _, _) in _bucket.ListAsync(RegistryLayout.Blobs(algorithm), cancellationToken))
                if (path.Split('/') is [.., var hex, "data"] && Digest.TryParse($"{algorithm}:{hex}", out var digest))
                    yield return digest;
    }
}
