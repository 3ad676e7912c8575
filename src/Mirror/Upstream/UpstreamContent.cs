using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// A blob at its upstream, read from any offset. A body that is cut, stalls or ends early is asked for again from the last good byte, by a
/// fresh redirect, and the reader notices nothing. Attempts that bring bytes have no fixed end; those that bring none stop after a few.
/// One reader at a time.
/// </summary>
public sealed class UpstreamContent : Content
{
    // With the waits between them longer than the breaker leaves a host alone: a CDN that is away for some seconds fails nobody's download.
    private const int MaxFruitlessAttempts = 7;
    // As a power of two: 8 s.
    private const int MaxPause = 5;

    private readonly UpstreamClient _upstream;
    private readonly RepositoryName _name;
    private readonly Digest _digest;
    private readonly TimeProvider _time;
    private readonly long? _end;
    private UpstreamBody? _body;
    private long _position;
    private long? _length;

    private UpstreamContent(UpstreamClient upstream, RepositoryName name, Digest digest, long? end, TimeProvider time) =>
        (_upstream, _name, _digest, _end, _time) = (upstream, name, digest, end, time);

    public override long? Length => _length;

    /// <summary>Asks upstream for a blob from an offset on.</summary>
    /// <param name="from">The first byte wanted.</param>
    /// <param name="end">The byte behind the last one wanted; null for all.</param>
    /// <exception cref="UpstreamException">One of the three answers that are not content.</exception>
    public static async Task<UpstreamContent> OpenAsync(
        UpstreamClient upstream, RepositoryName name, Digest digest, long from, long? end, TimeProvider time, CancellationToken cancellationToken)
    {
        var content = new UpstreamContent(upstream, name, digest, end, time);
        await content.MoveToAsync(from, cancellationToken);
        return content;
    }

    /// <summary>Upstream said elsewhere how long the whole is: a body that promises and brings less ended too early, however cleanly.</summary>
    public void Expect(long length) => _length = length;

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset == (_end ?? _length))
            return 0;
        var began = _time.GetTimestamp();
        for (var fruitless = 0; ; fruitless++)
        {
            try
            {
                if (_body is null || offset != _position)
                    await MoveToAsync(offset, cancellationToken);
                var read = await ReadOnceAsync(buffer, cancellationToken);
                _upstream.Received(read);
                if (read > 0 || _length is null)
                {
                    _position += read;
                    _length ??= read == 0 ? _position : null;
                    return read;
                }
                throw new UpstreamUnavailableException($"{_upstream.Origin.Authority} ended a body at byte {_position} of {_length}.");
            }
            catch (Exception cut) when (cut is UpstreamUnavailableException or IOException or HttpRequestException)
            {
                await DropBodyAsync();
                if (fruitless + 1 >= MaxFruitlessAttempts && _time.GetElapsedTime(began) >= _upstream.Origin.Hold)
                    throw cut as UpstreamUnavailableException
                        ?? new UpstreamUnavailableException($"{_upstream.Origin.Authority} broke off in the middle of {_digest}.", cut);
                // The first resume at once: most cuts are a lost connection.
                await Task.Delay(TimeSpan.FromMilliseconds(fruitless == 0 ? 0 : 250 << Math.Min(fruitless, MaxPause)), _time, cancellationToken);
            }
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await DropBodyAsync();
        await base.DisposeAsync();
    }

    private async ValueTask<int> ReadOnceAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var patience = _upstream.Origin.IdleTimeout;
        idle.CancelAfter(patience);
        try
        {
            return await _body!.Stream.ReadAsync(buffer, idle.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"No byte came for {patience.TotalSeconds} s.");
        }
    }

    private async Task MoveToAsync(long offset, CancellationToken cancellationToken)
    {
        await DropBodyAsync();
        var body = await _upstream.GetBlobAsync(_name, _digest, offset, _end, cancellationToken);
        if (_length is not null && body.Length is not null && body.Length != _length)
        {
            await body.DisposeAsync();
            throw new UpstreamUnavailableException($"{_upstream.Origin.Authority} gave {_digest} another length than before.");
        }
        (_body, _length, _position) = (body, body.Length ?? _length, body.From);
        // Range was ignored. Behind the last good byte what we have comes again, and is skipped; a part from the middle is not worth that.
        if (_position < offset && _end is not null)
        {
            await DropBodyAsync();
            throw new UpstreamUnavailableException($"{_upstream.Origin.Authority} gives no parts of {_digest}.") { IsRangeIgnored = true };
        }
        if (_position < offset)
            await SkipAsync(offset - _position, cancellationToken);
        _position = offset;
    }

    private async Task SkipAsync(long count, CancellationToken cancellationToken)
    {
        var buffer = new byte[64 * 1024];
        while (count > 0)
        {
            var read = await ReadOnceAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, count)), cancellationToken);
            if (read == 0)
                throw new IOException("The body ended before the offset that was asked for.");
            count -= read;
        }
    }

    private async ValueTask DropBodyAsync()
    {
        if (_body is { } body)
        {
            _body = null;
            await body.DisposeAsync();
        }
    }
}

/// <summary>A blob's body as one upstream response brings it.</summary>
/// <param name="From">The offset of its first byte: what was asked for, or 0 where Range was ignored.</param>
/// <param name="Length">The whole blob's length in bytes; null where upstream does not say.</param>
public sealed record UpstreamBody(HttpResponseMessage Response, Stream Stream, long From, long? Length) : IAsyncDisposable
{
    public async ValueTask DisposeAsync()
    {
        await Stream.DisposeAsync();
        Response.Dispose();
    }
}
