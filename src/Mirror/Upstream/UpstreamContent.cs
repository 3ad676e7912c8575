using Mirror.Storage;
using Polly.Timeout;

namespace Mirror.Upstream;

/// <summary>
/// A blob at its upstream, read from any offset, by one reader at a time. If a body is cut, stalls or ends early, it is requested again
/// from the last good byte, with a new redirect, and the reader notices nothing. The number of attempts that bring at least
/// 64 KiB is unlimited; after a few attempts in a row that bring less, the read fails.
/// </summary>
public sealed class UpstreamContent : Content
{
    // With the pauses between them this takes longer than a circuit breaker stays open, so that a short outage of a CDN fails no download.
    private const int MaxAttemptsWithoutProgress = 7;
    // An attempt with fewer bytes makes no progress. Otherwise one byte per connection would count as progress.
    private const int MinProgress = 64 * 1024;
    // The longest pause between attempts is 250 ms times 2 to this power: 8 s.
    private const int MaxPauseExponent = 5;

    private readonly UpstreamClient _upstream;
    private readonly RepositoryName _name;
    private readonly Digest _digest;
    private readonly TimeProvider _time;
    private readonly long? _end;
    private readonly Action? _cut;
    private UpstreamBody? _body;
    private bool _hasBegun;
    private bool? _isWebPage;
    private long _position;
    // Upstream answered a request for the rest with something else: ask for the whole blob from now on.
    private bool _asksForAll;
    // Bytes to skip: upstream ignored Range, and the body begins before _position.
    private long _toSkip;
    private long? _length;
    // How many attempts in a row made no progress, since when, and how many bytes the current one has received.
    private int _attemptsWithoutProgress;
    private long _withoutProgressSince;
    private long _received;
    // Where IsWhole was asked last.
    private long _askedAt;

    private UpstreamContent(UpstreamClient upstream, RepositoryName name, Digest digest, long? end, TimeProvider time, Action? cut) =>
        (_upstream, _name, _digest, _end, _time, _cut) = (upstream, name, digest, end, time, cut);

    public override long? Length => _length;

    /// <summary>Requests a blob from an offset on.</summary>
    /// <param name="from">The offset of the first byte wanted.</param>
    /// <param name="end">The offset after the last wanted byte; null for all.</param>
    /// <param name="cut">Is called before each pause between attempts: the caller may cancel the read, and read from another
    /// upstream.</param>
    /// <exception cref="UpstreamException">One of the four answers that are not content.</exception>
    public static async Task<UpstreamContent> OpenAsync(
        UpstreamClient upstream, RepositoryName name, Digest digest, long from, long? end, TimeProvider time,
        CancellationToken cancellationToken, Action? cut = null)
    {
        var content = new UpstreamContent(upstream, name, digest, end, time, cut);
        await content.MoveToAsync(from, cancellationToken);
        return content;
    }

    /// <summary>
    /// Sets the length of the whole blob, which upstream told in another answer. A shorter body then counts as cut, even if it ends
    /// cleanly.
    /// </summary>
    public void Expect(long length)
    {
        // If an answer to a request for the rest tells another length, it is not known where its bytes begin: drop it.
        if (_length is { } told && told != length && _position > 0)
            (_asksForAll, _position) = (true, -1);
        _length = length;
    }

    /// <summary>
    /// Says whether the bytes before the current offset have the digest. It is asked after a body of unknown length was cut: then the
    /// bytes are the whole blob, and only the mark of the end was missing. Null if the digest of the bytes is not known here.
    /// </summary>
    public Func<CancellationToken, ValueTask<bool>>? IsWhole { get; set; }

    /// <summary>Whether upstream labels the bytes as an HTML page.</summary>
    public bool IsWebPage => _isWebPage == true;

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset == (_end ?? _length))
            return 0;
        if (_attemptsWithoutProgress == 0)
            _withoutProgressSince = _time.GetTimestamp();
        for (; ; _attemptsWithoutProgress++)
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
                    _received += read;
                    if (_received >= MinProgress)
                        _attemptsWithoutProgress = 0;
                    _length ??= read == 0 ? _position : null;
                    return read;
                }
                throw new UpstreamUnavailableException($"{_upstream.Origin.Authority} ended a body at byte {_position} of {_length}.");
            }
            catch (Exception cut) when (cut is UpstreamUnavailableException or IOException or HttpRequestException)
            {
                await DropBodyAsync();
                if (await IsWholeAtAsync(offset, cancellationToken))
                {
                    _length = offset;
                    return 0;
                }
                // After one whole time limit without an answer, make no further attempt, unless proxy.hold is longer.
                var isLast = _attemptsWithoutProgress + 1 >= MaxAttemptsWithoutProgress || cut.InnerException is TimeoutRejectedException;
                if (isLast && _time.GetElapsedTime(_withoutProgressSince) >= _upstream.Origin.Hold)
                    throw cut as UpstreamUnavailableException
                        ?? new UpstreamUnavailableException($"{_upstream.Origin.Authority} cut {_digest} again and again.", cut);
                // Resume at once the first time: most cuts are a lost connection.
                if (_attemptsWithoutProgress > 0)
                    _cut?.Invoke();
                var pause = _attemptsWithoutProgress == 0 ? 0 : 250 << Math.Min(_attemptsWithoutProgress, MaxPauseExponent);
                await Task.Delay(TimeSpan.FromMilliseconds(pause), _time, cancellationToken);
            }
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await DropBodyAsync();
        await base.DisposeAsync();
    }

    // Once for each offset, so that attempts that bring nothing cost no hash.
    private async ValueTask<bool> IsWholeAtAsync(long offset, CancellationToken cancellationToken)
    {
        if (_length is not null || _end is not null || offset == _askedAt || IsWhole is not { } isWhole)
            return false;
        _askedAt = offset;
        return await isWhole(cancellationToken);
    }

    private async ValueTask<int> ReadOnceAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        idle.CancelAfter(UpstreamRequest.MaxSilence(_body!.Response, _hasBegun, _upstream.Origin));
        try
        {
            var read = await _body.Stream.ReadAsync(buffer, idle.Token);
            _hasBegun = true;
            return read;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw _hasBegun ? new IOException($"No byte came for {_upstream.Origin.IdleTimeout.TotalSeconds} s.")
                : new UpstreamUnavailableException(
                    $"{_upstream.Origin.Authority} sent headers for {_digest}, and no byte in time (proxy.response_timeout).",
                    new TimeoutRejectedException());
        }
    }

    private async Task MoveToAsync(long offset, CancellationToken cancellationToken)
    {
        await DropBodyAsync();
        var body = await _upstream.GetBlobAsync(_name, _digest, _asksForAll ? 0 : offset, _end, cancellationToken);
        // If the first body was not labelled as HTML, a later one with this label is the error page of a proxy.
        _isWebPage ??= body.IsWebPage;
        var isErrorPage = body.IsWebPage && _isWebPage == false;
        if (isErrorPage || _length is not null && body.Length is not null && body.Length != _length)
        {
            await body.DisposeAsync();
            _asksForAll = _end is null;
            throw new UpstreamUnavailableException(isErrorPage
                ? $"{_upstream.Origin.Authority} sent an HTML page instead of the bytes of {_digest}."
                : $"{_upstream.Origin.Authority} sent another length of {_digest} than before.");
        }
        (_body, _hasBegun, _length, _position, _toSkip, _received) =
            (body, false, body.Length ?? _length, offset, offset - body.From, 0);
        // Upstream ignored Range. For a read to the end, skip the bytes that are known. For a part, give up.
        if (_toSkip > 0 && _end is not null)
        {
            await DropBodyAsync();
            throw new UpstreamUnavailableException($"{_upstream.Origin.Authority} ignores Range for {_digest}.") { IsRangeIgnored = true };
        }
    }

    // Called inside the try of ReadAsync, so a body that is cut here is requested again too.
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
    /// <summary>Whether it is labelled as an HTML page, which a blob hardly ever is.</summary>
    public bool IsWebPage { get; init; }

    public async ValueTask DisposeAsync()
    {
        await Stream.DisposeAsync();
        Response.Dispose();
    }
}
