using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// The content that one client reads while a fill downloads a blob: the growing spool. In two cases the bytes come from the upstream of the
/// client's own repository. For a small range far ahead of the fill, the server sends a side request. When the disk is full, each client
/// gets the rest from upstream, and the server still verifies the digest.
/// </summary>
internal sealed class FillContent(Fill fill, FillOrigin origin, Spool spool) : Content
{
    // Bytes that are nearer than this arrive with the download before the response to a side request would.
    private const long MinDistance = 8 << 20;

    // A part without the last bytes is complete before the digest is verified, so its client would not notice wrong bytes. A part of a blob
    // of at most this length waits until the whole is verified. Clients that read longer layers in parts would wait too long for this.
    private const long MaxHeld = 1 << 20;

    // A client may ask for many parts at once. Beyond this number of side requests, its parts wait for the download.
    private const int MaxSideRequests = 16;

    private readonly Content _spooled = spool.OpenRead();
    private Content? _side;
    private long _sideEnd;
    private int _sideRequests;
    private UncachedContent? _uncached;
    private int _disposed;

    public override long? Length => _spooled.Length;

    public override async ValueTask PrepareAsync(long from, long until, CancellationToken cancellationToken)
    {
        if (_side is { } before)
        {
            (_side, _sideEnd) = (null, 0);
            await before.DisposeAsync();
        }
        if (Length <= MaxHeld && until <= Length - Spool.TailLength)
            await WaitUntilVerifiedAsync(Length.Value - 1, cancellationToken);
        if (from - spool.Length <= MinDistance || Length is not { } length || _sideRequests == MaxSideRequests)
            return;
        // The last bytes always come from the spool, so only after the server has verified the digest. The server cannot verify a range
        // from the middle before it has the whole blob. A client that requests ranges verifies the whole itself.
        var end = Math.Min(until, length - Spool.TailLength);
        if (end <= from || !fill.TryReserveSideRequest(end - from, length))
            return;
        _sideRequests++;
        try
        {
            _side = await fill.Transfer.OpenRangeAsync(origin, from, end, cancellationToken);
            _sideEnd = end;
        }
        catch (UpstreamException)
        {
            // Wait for the download instead.
        }
    }

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_uncached is not null)
            return await _uncached.ReadAsync(offset, buffer, cancellationToken);
        if (_side is not null && offset < _sideEnd)
        {
            try
            {
                return await _side.ReadAsync(offset, buffer, cancellationToken);
            }
            catch (Exception failure) when (failure is ReplicaLostException or UpstreamException)
            {
                // The fill goes on: wait for it.
                _sideEnd = 0;
            }
        }
        try
        {
            return await _spooled.ReadAsync(offset, buffer, cancellationToken);
        }
        // The inner exception tells why the fill ended. If our disk failed, upstream can still be read.
        catch (IOException ended) when (ended.InnerException is IOException and not DigestMismatchException)
        {
            _uncached = UncachedContent.After(_spooled, offset, fill.Transfer, origin);
            return await _uncached.ReadAsync(offset, buffer, cancellationToken);
        }
    }

    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        if (_side is not null)
            await _side.DisposeAsync();
        if (_uncached is not null)
            await _uncached.DisposeAsync();
        await fill.LeaveAsync();
        await base.DisposeAsync();
    }

    // The last byte can be read when the whole is verified.
    private async ValueTask WaitUntilVerifiedAsync(long last, CancellationToken cancellationToken)
    {
        try
        {
            await spool.OpenRead().ReadAsync(last, new byte[1], cancellationToken);
        }
        catch (IOException ended) when (ended.InnerException is IOException and not DigestMismatchException)
        {
            // The disk failed: this client gets its bytes from upstream.
        }
    }
}
