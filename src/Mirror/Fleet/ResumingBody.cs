using System.Net;
using System.Security.Cryptography;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Fleet;

/// <summary>
/// A blob's bytes from another replica. When that one is lost they go on, behind the last byte passed on, from whoever has them then: a third
/// replica, the store, or a download of this one's own. Whoever serves holds the tail back until the digest has proved right; where a body was put
/// together from two of them, their sum is proved here, before its last bytes.
/// </summary>
internal sealed partial class ResumingBody : Stream
{
    // An owner that is silent for so long is looked up again: if it still has its lease it is waiting for upstream, and so are we.
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    // As long as a dead owner's lease may last; then this replica goes on by itself, whatever the lease says.
    private static readonly int MostFruitless = 2 * (int)(FillLeases.Life / Pause);

    // Replicas that are restarted one after the other; and an upstream whose bytes are wrong is not to be asked for ever.
    private const int MostLosses = 4;

    private readonly ResumingHandler _handler;
    private readonly HttpRequestMessage _asked;
    private readonly ForwardedBody _body;
    private readonly RegistryMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly long _end;
    private readonly long _total;
    private readonly IncrementalHash? _hash;
    private int _losses;
    private HttpResponseMessage? _response;
    private Stream? _stream;
    private Content? _content;
    private Uri? _replica;
    private long _position;
    private bool _resumed;
    private int _disposed;

    public ResumingBody(
        ResumingHandler handler, HttpRequestMessage asked, HttpResponseMessage response, ForwardedBody body, long from, long end, long total,
        RegistryMetrics metrics, TimeProvider time, ILogger log)
    {
        (_handler, _asked, _response, _body, _position, _end, _total) = (handler, asked, response, body, from, end, total);
        (_metrics, _time, _log) = (metrics, time, log);
        _replica = new Uri(asked.RequestUri!.GetLeftPart(UriPartial.Authority));
        // Who asks for parts verifies the whole.
        _hash = from == 0 && end == total ? body.Digest.NewHash() : null;
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_position == _end || buffer.IsEmpty)
            return 0;
        for (var fruitless = 0; ; fruitless++)
        {
            try
            {
                if (_response is null && _content is null)
                    await MoveAsync(here: fruitless > MostFruitless, cancellationToken);
                var read = await ReadOnceAsync(buffer[..(int)Math.Min(buffer.Length, _end - _position)], cancellationToken);
                if (read == 0)
                    throw new IOException($"The body ended at byte {_position} of {_end}.");
                Verify(buffer.Span[..read]);
                _position += read;
                _body.Passed(read);
                return read;
            }
            catch (Exception lost) when (lost is IOException or HttpRequestException && fruitless <= MostFruitless + 1 && _losses <= MostLosses)
            {
                // A body that was lost, not one that could not be had yet.
                if (_response is not null || _content is not null)
                    _losses++;
                await DropAsync();
                if (fruitless == 0)
                {
                    _metrics.TakenOver();
                    LogLost(_log, _replica?.Authority ?? "this replica", _body.Digest.ToString(), _position, lost.Message);
                    _resumed = true;
                }
                await Task.Delay(Pause, _time, cancellationToken);
            }
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await DropAsync();
            _hash?.Dispose();
        }
        await base.DisposeAsync();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && Volatile.Read(ref _disposed) == 0)
            _ = DisposeAsync().AsTask();
        base.Dispose(disposing);
    }

    private async Task<int> ReadOnceAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_content is not null)
            return await _content.ReadAsync(_position, buffer, cancellationToken);
        _stream ??= await _response!.Content.ReadAsStreamAsync(cancellationToken);
        var reading = _stream.ReadAsync(buffer, cancellationToken).AsTask();
        while (true)
        {
            try
            {
                return await reading.WaitAsync(Silence, _time, cancellationToken);
            }
            catch (TimeoutException)
            {
                var now = await _body.Reopen(false, cancellationToken);
                if (now.Content is null && now.Replica == _replica)
                    continue;
                if (now.Content is not null)
                    await now.Content.DisposeAsync();
                // The read is given up with its response; its buffer is not ours again before it ended.
                _response?.Dispose();
                await ((Task)reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                throw new IOException("The replica is silent and another has its lease.");
            }
        }
    }

    private async Task MoveAsync(bool here, CancellationToken cancellationToken)
    {
        var now = await _body.Reopen(here, cancellationToken);
        (_replica, _content) = (now.Replica, now.Content);
        if (_content is not null)
        {
            if (_content.Length is { } length && length != _total)
                throw new IOException($"{_body.Digest} has another length here than at the replica that was lost.");
            await _content.PrepareAsync(_position, _end, cancellationToken);
            return;
        }
        var response = await _handler.AskForRestAsync(_asked, _replica!, _position, _end, cancellationToken);
        if (response.StatusCode != HttpStatusCode.PartialContent || response.Content.Headers.ContentRange is not { } range
            || range.From != _position || range.To != _end - 1 || range.Length != _total)
        {
            response.Dispose();
            throw new IOException($"The replica {_replica!.Authority} answered {(int)response.StatusCode} where the rest of a body was asked for.");
        }
        _response = response;
    }

    private void Verify(ReadOnlySpan<byte> bytes)
    {
        if (_hash is null)
            return;
        _hash.AppendData(bytes);
        if (_resumed && _position + bytes.Length == _end && Digest.FromHash(_body.Digest.Algorithm, _hash.GetCurrentHash()) != _body.Digest)
            throw new InvalidDataException($"What two replicas sent together is not {_body.Digest}.");
    }

    private async ValueTask DropAsync()
    {
        if (_stream is { } stream)
            await stream.DisposeAsync();
        _response?.Dispose();
        (_stream, _response) = (null, null);
        if (_content is { } content)
        {
            _content = null;
            await content.DisposeAsync();
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Replica} was lost while it sent {Digest}; going on behind byte {Position}: {Reason}")]
    private static partial void LogLost(ILogger log, string replica, string digest, long position, string reason);
}
