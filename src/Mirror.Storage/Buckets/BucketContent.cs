using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// Content in the bucket, read in order: from one connection, and where that is slow the next pieces side by side (<see cref="ReadAhead"/>). A slow
/// client slows the store down. A connection that breaks is followed by another one, from the byte where it broke.
/// </summary>
internal sealed class BucketContent(S3Bucket bucket, string path, long length, TimeProvider time) : Content, ILocatedContent
{
    // As registry:2. Only the beginning of the download has to fall into it.
    private static readonly TimeSpan Validity = TimeSpan.FromMinutes(20);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);

    // In a row, without a byte between them.
    private const int MaxFailures = 3;

    private S3Body? _body;
    private ReadAhead? _ahead;
    private long? _prepared;

    public override long? Length => length;

    private long Until => _prepared ?? length;

    public ValueTask<Uri> LocateAsync(CancellationToken cancellationToken) => bucket.PresignAsync(path, Validity);

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
                    ReadAheadOf(body);
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
                await Task.Delay(FirstPause * (1 << failures) * (0.5 + Random.Shared.NextDouble()), time, cancellationToken);
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
        _ahead = bucket.ConnectionsAreSlow ? ReadAhead.TryStart(bucket, path, from + ReadAhead.PieceLength, Until) : null;
        _body = await S3Body.OpenAsync(bucket, path, from, _ahead is null ? Until : from + ReadAhead.PieceLength, cancellationToken);
    }

    // Where one connection is as fast as its reader, more of them only cost.
    private void ReadAheadOf(S3Body body)
    {
        if (_ahead is not null || body.IsSlow is not true || ReadAhead.TryStart(bucket, path, body.Position + ReadAhead.PieceLength, body.Until) is not { } ahead)
            return;
        (_ahead, body.Until) = (ahead, body.Position + ReadAhead.PieceLength);
    }

    private async ValueTask CloseAsync()
    {
        if (_body is not null)
        {
            bucket.ConnectionsAreSlow = _body.IsSlow ?? bucket.ConnectionsAreSlow;
            await _body.DisposeAsync();
        }
        if (_ahead is not null)
            await _ahead.DisposeAsync();
        (_body, _ahead) = (null, null);
    }
}
