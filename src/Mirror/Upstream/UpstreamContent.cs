using Mirror.Storage;
using Polly.Timeout;

namespace Mirror.Upstream;

/// <summary>
/// A blob at its upstream, read from any offset, by one reader at a time. If a body is cut, stalls or ends early, it is requested again
/// from the last good byte, with a new redirect, and the reader notices nothing. The number of attempts that bring bytes is unlimited;
/// after a few attempts in a row that bring none, the read fails.
/// </summary>
public sealed class UpstreamContent : Content
{
    // With the pauses between them this takes longer than a circuit breaker stays open, so that a short outage of a CDN fails no download.
    private const int MaxFruitlessAttempts = 7;
    // The longest pause between attempts is 250 ms times 2 to this power: 8 s.
    private const int MaxPauseExponent = 5;

    private readonly UpstreamClient _upstream;
    private readonly RepositoryName _name;
    private readonly Digest _digest;
    private readonly TimeProvider _time;
    private readonly long? _end;
    private UpstreamBody? _body;
    private bool? _isWebPage;
    private long _position;
    // So many bytes of the body come before _position, because upstream ignored Range.
    private long _toSkip;
    private long? _length;

    private UpstreamContent(UpstreamClient upstream, RepositoryName name, Digest digest, long? end, TimeProvider time) =>
        (_upstream, _name, _digest, _end, _time) = (upstream, name, digest, end, time);

    public override long? Length => _length;

    /// <summary>Requests a blob from an offset on.</summary>
    /// <param name="from">The offset of the first byte wanted.</param>
    /// <param name="end">The offset after the last wanted byte; null for all.</param>
    /// <exception cref="UpstreamException">One of the four answers that are not content.</exception>
    public static async Task<UpstreamContent> OpenAsync(
        UpstreamClient upstream, RepositoryName name, Digest digest, long from, long? end, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var content = new UpstreamContent(upstream, name, digest, end, time);
        await content.MoveToAsync(from, cancellationToken);
        return content;
    }

    /// <summary>
    /// Sets the length of the whole blob, which upstream told in another answer. A shorter body then counts as cut, even if it ends
    /// cleanly.
    /// </summary>
    public void Expect(long length) => _length = length;

    /// <summary>Whether upstream labels the bytes as a page for people.</summary>
    public bool IsWebPage => _isWebPage == true;

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
                await SkipAsync(cancellationToken);
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
                // After one whole time limit without an answer, make no further attempt.
                var isLast = fruitless + 1 >= MaxFruitlessAttempts || cut.InnerException is TimeoutRejectedException;
                if (isLast && _time.GetElapsedTime(began) >= _upstream.Origin.Hold)
                    throw cut as UpstreamUnavailableException
                        ?? new UpstreamUnavailableException($"{_upstream.Origin.Authority} cut {_digest} again and again.", cut);
                // Resume at once the first time: most cuts are a lost connection.
                var pause = fruitless == 0 ? 0 : 250 << Math.Min(fruitless, MaxPauseExponent);
                await Task.Delay(TimeSpan.FromMilliseconds(pause), _time, cancellationToken);
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
        var timeout = _upstream.Origin.IdleTimeout;
        idle.CancelAfter(timeout);
        try
        {
            return await _body!.Stream.ReadAsync(buffer, idle.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"No byte came for {timeout.TotalSeconds} s.");
        }
    }

    private async Task MoveToAsync(long offset, CancellationToken cancellationToken)
    {
        await DropBodyAsync();
        var body = await _upstream.GetBlobAsync(_name, _digest, offset, _end, cancellationToken);
        // The first body says what it is. A proxy's page in the place of a later one is not the blob.
        _isWebPage ??= body.IsWebPage;
        if (_length is not null && body.Length is not null && body.Length != _length || body.IsWebPage != _isWebPage)
        {
            await body.DisposeAsync();
            throw new UpstreamUnavailableException($"{_upstream.Origin.Authority} sent another length of {_digest} than before.");
        }
        (_body, _length, _position, _toSkip) = (body, body.Length ?? _length, offset, offset - body.From);
        // Upstream ignored Range. A body to the end is worth skipping the bytes that are known. A part from the middle is not.
        if (_toSkip > 0 && _end is not null)
        {
            await DropBodyAsync();
            throw new UpstreamUnavailableException($"{_upstream.Origin.Authority} ignores Range for {_digest}.") { IsRangeIgnored = true };
        }
    }

    // Only ReadAsync calls this: a body that is cut here is requested again like one that is cut later.
    private async ValueTask SkipAsync(CancellationToken cancellationToken)
    {
        if (_toSkip == 0)
            return;
        var buffer = new byte[64 * 1024];
        while (_toSkip > 0)
        {
            var read = await ReadOnceAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, _toSkip)), cancellationToken);
            if (read == 0)
                throw new UpstreamUnavailableException(
                    $"{_upstream.Origin.Authority} ended a body before byte {_position}, from which on it was requested.");
            _toSkip -= read;
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

/// <summary>The body of one response with a blob's bytes.</summary>
/// <param name="From">The offset of its first byte: the requested one, or 0 if upstream ignored Range.</param>
/// <param name="Length">The length of the whole blob in bytes; null if upstream does not say.</param>
public sealed record UpstreamBody(HttpResponseMessage Response, Stream Stream, long From, long? Length) : IAsyncDisposable
{
    /// <summary>Whether it is labelled as a page for people, which a blob hardly ever is.</summary>
    public bool IsWebPage { get; init; }

    public async ValueTask DisposeAsync()
    {
        await Stream.DisposeAsync();
        Response.Dispose();
    }
}
