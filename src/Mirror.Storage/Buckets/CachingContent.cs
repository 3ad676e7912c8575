using Mirror.Storage.Spooling;

namespace Mirror.Storage.Buckets;

/// <summary>
/// Content of the bucket. The first reader that reads it from beginning to end leaves a verified copy in the local cache. If that reader
/// goes away, or the disk is full, there is no copy, and no client notices.
/// </summary>
internal sealed class CachingContent(BucketContent stored, long length, Digest digest, LocalCache cache) : Content, ILocatedContent
{
    private Spool? _copy;

    public override long? Length => length;

    public ValueTask<Uri?> LocateAsync(CancellationToken cancellationToken) => stored.LocateAsync(cancellationToken);

    public override ValueTask PrepareAsync(long from, long until, CancellationToken cancellationToken) =>
        stored.PrepareAsync(from, until, cancellationToken);

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var read = await stored.ReadAsync(offset, buffer, cancellationToken);
        if (offset == 0 && read > 0 && _copy is null)
            _copy = cache.TrySpool(digest, length);
        if (_copy is null)
            return read;
        if (offset != _copy.Length || !TryAppend(buffer.Span[..read]))
            await EndCopyAsync();
        else if (_copy.Length == length)
        {
            await AdmitAsync(_copy, cancellationToken);
            await EndCopyAsync();
        }
        return read;
    }

    public override async ValueTask DisposeAsync()
    {
        await EndCopyAsync();
        await stored.DisposeAsync();
        await base.DisposeAsync();
    }

    private bool TryAppend(ReadOnlySpan<byte> bytes)
    {
        try
        {
            _copy!.Append(bytes);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private async ValueTask AdmitAsync(Spool copy, CancellationToken cancellationToken)
    {
        try
        {
            if (await copy.VerifyAsync(digest, cancellationToken))
                _ = cache.TryAdmit(copy, digest);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // The disk does not return what was written to it. The client has its bytes from the bucket.
        }
    }

    private async ValueTask EndCopyAsync()
    {
        if (_copy is null)
            return;
        _copy.Delete();
        await _copy.DisposeAsync();
        _copy = null;
        cache.EndSpool(digest);
    }
}
