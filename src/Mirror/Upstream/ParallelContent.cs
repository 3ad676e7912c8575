using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// A large blob fetched over several connections at once, for links on which one connection is slow: ranges are read ahead into memory, a bounded
/// number of them, and given out in order, so that the reader notices nothing. One reader at a time, from one offset on.
/// </summary>
public sealed class ParallelContent : Content
{
    /// <summary>How long each range is, in bytes. The memory of a fill is this times the number of connections.</summary>
    public const int RangeLength = 4 << 20;

    private readonly UpstreamClient _upstream;
    private readonly int _connections;
    private readonly TimeProvider _time;
    private readonly RepositoryName _name;
    private readonly Digest _digest;
    private readonly long _length;
    private readonly Queue<Task<byte[]>> _ahead = new();
    private readonly CancellationTokenSource _stop = new();
    private UpstreamContent? _whole;
    private long _asked;
    private long _position;
    private byte[] _current = [];
    private int _used;

    /// <param name="connections">How many ranges are requested at once.</param>
    /// <param name="from">The first byte wanted.</param>
    /// <param name="length">The whole blob's length in bytes.</param>
    public ParallelContent(UpstreamClient upstream, int connections, TimeProvider time, RepositoryName name, Digest digest, long from, long length)
    {
        (_upstream, _connections, _time) = (upstream, connections, time);
        (_name, _digest, _asked, _position, _length) = (name, digest, from, from, length);
    }

    public override long? Length => _length;

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_whole is not null)
            return await _whole.ReadAsync(offset, buffer, cancellationToken);
        if (offset != _position)
            throw new IOException("Ranges that are read ahead can only be read in order.");
        while (_ahead.Count < _connections && _asked < _length)
        {
            var (from, until) = (_asked, Math.Min(_asked + RangeLength, _length));
            _ahead.Enqueue(Task.Run(() => FetchAsync(from, until, _stop.Token), CancellationToken.None));
            _asked = until;
        }
        if (_used == _current.Length)
        {
            if (!_ahead.TryPeek(out var next))
                return 0;
            try
            {
                (_current, _used) = (await next.WaitAsync(cancellationToken), 0);
            }
            // Then over one connection, like everything else.
            catch (UpstreamUnavailableException refused) when (refused.IsRangeIgnored)
            {
                await _stop.CancelAsync();
                _whole = await UpstreamContent.OpenAsync(_upstream, _name, _digest, _position, null, _time, cancellationToken);
                return await _whole.ReadAsync(offset, buffer, cancellationToken);
            }
            _ = _ahead.Dequeue();
        }
        var count = Math.Min(buffer.Length, _current.Length - _used);
        _current.AsMemory(_used, count).CopyTo(buffer);
        _used += count;
        _position += count;
        return count;
    }

    public override async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_ahead).ContinueWith(static done => done.Exception, TaskScheduler.Default);
        _stop.Dispose();
        if (_whole is not null)
            await _whole.DisposeAsync();
        await base.DisposeAsync();
    }

    private async Task<byte[]> FetchAsync(long from, long until, CancellationToken cancellationToken)
    {
        await using var source = await UpstreamContent.OpenAsync(_upstream, _name, _digest, from, until, _time, cancellationToken);
        var range = new byte[until - from];
        for (var filled = 0; filled < range.Length;)
        {
            var read = await source.ReadAsync(from + filled, range.AsMemory(filled), cancellationToken);
            if (read == 0)
                throw new UpstreamUnavailableException($"{_upstream.Origin.Authority} ended a range of {_digest} early.");
            filled += read;
        }
        return range;
    }
}
