namespace Mirror.Storage.Buckets;

/// <summary>
/// Content in a bucket, for one reader that reads in order. The first bytes come from one connection. If that is slow, the next pieces come
/// from others (<see cref="ReadAhead"/>). If a connection breaks, another one continues from the same byte.
/// </summary>
internal sealed class BucketContent(BucketReads reads, string path, long length) : Content, ILocatedContent
{
    // As registry:2. The client has to begin its download within it.
    private static readonly TimeSpan AddressValidity = TimeSpan.FromMinutes(20);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);

    // Without a byte between them.
    private const int MaxFailures = 3;

    private BucketBody? _body;
    private ReadAhead? _ahead;
    private long? _prepared;

    public override long? Length => length;

    private long Until => _prepared ?? length;

    public ValueTask<Uri?> LocateAsync(CancellationToken cancellationToken) =>
        reads.Bucket.LocateAsync(path, AddressValidity, cancellationToken);

    public override async ValueTask PrepareAsync(long from, long until, CancellationToken cancellationToken)
    {
        _prepared = Math.Min(until, length);
        if (from < _prepared)
            await OpenAsync(from, cancellationToken);
    }

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset >= length || buffer.IsEmpty)
            return 0;
        if (offset >= _prepared)
            _prepared = null;
        var failures = 0;
        while (true)
        {
            try
            {
                if (_body is { } body && body.Position == offset && offset < body.Until)
                {
                    StartReadAhead(body);
                    return await body.ReadAsync(buffer, cancellationToken);
                }
                if (_ahead is not null && await _ahead.ReadAsync(offset, buffer, cancellationToken) is > 0 and var read)
                    return read;
                await OpenAsync(offset, cancellationToken);
            }
            catch (IOException broken)
            {
                await CloseAsync();
                if (++failures == MaxFailures)
                    throw broken as StoreUnavailableException ?? new StoreUnavailableException(broken.Message, broken);
                await Task.Delay(FirstPause * (1 << failures) * (0.5 + Random.Shared.NextDouble()), reads.Time, cancellationToken);
            }
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await CloseAsync();
        await base.DisposeAsync();
    }

    private async ValueTask OpenAsync(long from, CancellationToken cancellationToken)
    {
        await CloseAsync();
        _ahead = reads.ConnectionsAreSlow ? ReadAhead.TryStart(reads, path, from + ReadAhead.PieceLength, Until) : null;
        _body = await BucketBody.OpenAsync(reads, path, from, _ahead is null ? Until : from + ReadAhead.PieceLength, cancellationToken);
    }

    // If one connection is as fast as its reader, more of them only cost memory.
    private void StartReadAhead(BucketBody body)
    {
        if (_ahead is not null || body.IsSlow is not true
            || ReadAhead.TryStart(reads, path, body.Position + ReadAhead.PieceLength, body.Until) is not { } ahead)
            return;
        (_ahead, body.Until) = (ahead, body.Position + ReadAhead.PieceLength);
    }

    private async ValueTask CloseAsync()
    {
        if (_body is not null)
        {
            reads.ConnectionsAreSlow = _body.IsSlow ?? reads.ConnectionsAreSlow;
            await _body.DisposeAsync();
        }
        if (_ahead is not null)
            await _ahead.DisposeAsync();
        (_body, _ahead) = (null, null);
    }
}
