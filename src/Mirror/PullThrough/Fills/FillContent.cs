using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// What one client reads while a blob is on its way: the growing spool. Two detours: a client that wants little from far ahead of the fill asks upstream
/// for its own range, and when the disk takes no more, each client goes on from upstream, checked against the digest all the same.
/// </summary>
public sealed class FillContent(Fill fill, RepositoryName name, Spool spool) : Content
{
    /// <summary>How far ahead of the fill a client is worth a request of its own, in bytes: less arrives before such a request would be answered.</summary>
    public const long FarAhead = 8 << 20;

    private readonly Content _spooled = spool.OpenRead();
    private Content? _ahead;
    private long _aheadEnd;
    private UncachedContent? _uncached;
    private int _disposed;

    public override long? Length => _spooled.Length;

    public override async ValueTask PrepareAsync(long from, long until, CancellationToken cancellationToken)
    {
        if (from - spool.Length <= FarAhead || Length is not { } length)
            return;
        // The last bytes come from the spool even so, and therefore only once the digest has proved right. An interior range cannot be
        // verified before the whole is there: who asks for parts verifies the whole.
        _aheadEnd = Math.Min(until, length - Spool.TailLength);
        if (_aheadEnd <= from || !fill.TryGoAhead(_aheadEnd - from, length))
        {
            _aheadEnd = 0;
            return;
        }
        try
        {
            _ahead = await fill.Transfer.OpenBesideAsync(name, from, _aheadEnd, cancellationToken);
        }
        catch (UpstreamException)
        {
            // A second request is refused: the fill will get there.
        }
    }

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_uncached is not null)
            return await _uncached.ReadAsync(offset, buffer, cancellationToken);
        if (_ahead is not null && offset < _aheadEnd)
        {
            try
            {
                return await _ahead.ReadAsync(offset, buffer, cancellationToken);
            }
            catch (ReplicaLostException)
            {
                // The fill finds somebody else, and gets there.
                _aheadEnd = 0;
            }
        }
        try
        {
            return await _spooled.ReadAsync(offset, buffer, cancellationToken);
        }
        // The spool tells its readers why it ended. A disk that failed is not upstream's fault: upstream can still be read.
        catch (IOException ended) when (ended.InnerException is IOException and not DigestMismatchException)
        {
            _uncached = UncachedContent.Behind(_spooled, offset, fill, name);
            return await _uncached.ReadAsync(offset, buffer, cancellationToken);
        }
    }

    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        if (_ahead is not null)
            await _ahead.DisposeAsync();
        if (_uncached is not null)
            await _uncached.DisposeAsync();
        await fill.LeaveAsync();
        await base.DisposeAsync();
    }
}
