using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// Downloads a large blob over several connections at once, for links on which one connection is slow. Reads a bounded number of ranges
/// ahead into memory, and returns them in order. For one reader, which reads in order.
/// </summary>
public sealed class ParallelContent : Content
{
    /// <summary>The length of each range in bytes. A download needs up to this much memory for each connection.</summary>
    public const int RangeLength = 4 << 20;

    // The memory for a range grows with the bytes that come.
    private const int PieceLength = 256 * 1024;

    private readonly UpstreamClient _upstream;
    private readonly int _connections;
    private readonly TimeProvider _time;
    private readonly RepositoryName _name;
    private readonly Digest _digest;
    private readonly long _length;
    private readonly Action _cut;
    private readonly Queue<Task<Queue<byte[]>>> _ahead = new();
    private readonly CancellationTokenSource _stop = new();
    private UpstreamContent? _single;
    private long _requested;
    private long _position;
    // The pieces of the current range, of which the first is read up to _used.
    private Queue<byte[]> _current = new();
    private int _used;

    /// <param name="connections">How many ranges are requested at once.</param>
    /// <param name="from">The offset of the first byte to read.</param>
    /// <param name="length">The length of the whole blob in bytes.</param>
    /// <param name="cut">Is called before each pause between attempts, after upstream has cut a range.</param>
    public ParallelContent(
        UpstreamClient upstream, int connections, TimeProvider time, RepositoryName name, Digest digest, long from, long length,
        Action cut)
    {
        (_upstream, _connections, _time, _cut) = (upstream, connections, time, cut);
        (_name, _digest, _requested, _position, _length) = (name, digest, from, from, length);
    }

    public override long? Length => _length;

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_single is not null)
            return await _single.ReadAsync(offset, buffer, cancellationToken);
        if (offset != _position)
            throw new IOException("Parallel ranges can be read in order only.");
        while (_ahead.Count < _connections && _requested < _length)
        {
            var (from, until) = (_requested, Math.Min(_requested + RangeLength, _length));
            _ahead.Enqueue(Task.Run(() => FetchAsync(from, until, _stop.Token), CancellationToken.None));
            _requested = until;
        }
        if (_current.Count == 0)
        {
            if (!_ahead.TryPeek(out var next))
                return 0;
            try
            {
                (_current, _used) = (await next.WaitAsync(cancellationToken), 0);
            }
            // Upstream ignores Range: go on over one connection.
            catch (UpstreamUnavailableException refused) when (refused.IsRangeIgnored)
            {
                await _stop.CancelAsync();
                _single = await UpstreamContent.OpenAsync(_upstream, _name, _digest, _position, null, _time, cancellationToken, _cut);
                return await _single.ReadAsync(offset, buffer, cancellationToken);
            }
            _ = _ahead.Dequeue();
        }
        var piece = _current.Peek();
        var count = Math.Min(buffer.Length, piece.Length - _used);
        piece.AsMemory(_used, count).CopyTo(buffer);
        _used += count;
        if (_used == piece.Length)
        {
            _ = _current.Dequeue();
            _used = 0;
        }
        _position += count;
        return count;
    }

    public override async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await ((Task)Task.WhenAll(_ahead)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
        if (_single is not null)
            await _single.DisposeAsync();
        await base.DisposeAsync();
    }

    private async Task<Queue<byte[]>> FetchAsync(long from, long until, CancellationToken cancellationToken)
    {
        await using var source = await UpstreamContent.OpenAsync(_upstream, _name, _digest, from, until, _time, cancellationToken, _cut);
        Queue<byte[]> pieces = new();
        while (from < until)
        {
            var piece = new byte[Math.Min(PieceLength, until - from)];
            for (var filled = 0; filled < piece.Length;)
            {
                var read = await source.ReadAsync(from + filled, piece.AsMemory(filled), cancellationToken);
                if (read == 0)
                    throw new UpstreamUnavailableException($"{_upstream.Origin.Authority} ended a range of {_digest} early.");
                filled += read;
            }
            pieces.Enqueue(piece);
            from += piece.Length;
        }
        return pieces;
    }
}
