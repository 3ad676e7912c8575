using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Net.Security;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Mirror.Limits;

/// <summary>
/// Reads a connection of HTTP/2, and counts the frames that cost work and bring nothing (RFC 9113, section 10.5): SETTINGS and PING, and
/// CONTINUATION and DATA without content. A client that sends many of them is read so slowly that they are few.
/// </summary>
internal sealed class PacedFrames(PipeReader inner, CancellationToken closed) : PipeReader
{
    // Clients send some at the start, and then one now and then.
    private const int Burst = 1000, PerSecond = 50;
    // Kestrel cuts a client whose headers have not come by then.
    private const int MaxPause = 30_000;

    private const int Preface = 24, HeaderLength = 9;
    private const byte Data = 0, Priority = 2, Settings = 4, Ping = 6, Continuation = 9;
    private const byte EndStream = 1;

    private readonly byte[] _header = new byte[HeaderLength];
    private int _headerHas;
    private int _skip = Preface;
    private ReadOnlySequence<byte> _buffer;
    // In thousandths of a frame.
    private long _allowed = Burst * 1000;
    private long _countedAt = Environment.TickCount64;
    private TaskCompletionSource? _wake;

    /// <summary>Reads a connection so, if client and server have agreed on HTTP/2.</summary>
    public static ConnectionDelegate Around(ConnectionDelegate next) => connection =>
    {
        if (connection.Features.Get<ITlsApplicationProtocolFeature>() is { } protocol
            && protocol.ApplicationProtocol.Span.SequenceEqual(SslApplicationProtocol.Http2.Protocol.Span))
            connection.Transport = new Pipe(
                new PacedFrames(connection.Transport.Input, connection.ConnectionClosed), connection.Transport.Output);
        return next(connection);
    };

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (_allowed < 0)
            return ReadLaterAsync(cancellationToken);
        var read = inner.ReadAsync(cancellationToken);
        return read.IsCompletedSuccessfully ? new(Note(read.Result)) : NoteAsync(read);
    }

    public override bool TryRead(out ReadResult result)
    {
        if (_allowed < 0 || !inner.TryRead(out result))
        {
            result = default;
            return false;
        }
        Note(result);
        return true;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        var frames = 0;
        foreach (var part in _buffer.Slice(0, consumed))
            frames += Count(part.Span);
        if (frames > 0)
            Take(frames);
        _buffer = default;
        inner.AdvanceTo(consumed, examined);
    }

    public override void CancelPendingRead()
    {
        inner.CancelPendingRead();
        Volatile.Read(ref _wake)?.TrySetResult();
    }

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    public override ValueTask CompleteAsync(Exception? exception = null) => inner.CompleteAsync(exception);

    private ReadResult Note(ReadResult read)
    {
        _buffer = read.Buffer;
        return read;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> NoteAsync(ValueTask<ReadResult> read) => Note(await read);

    private async ValueTask<ReadResult> ReadLaterAsync(CancellationToken cancellationToken)
    {
        var pause = (int)Math.Min(MaxPause, -_allowed / PerSecond);
        var wake = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref _wake, wake);
        await using (closed.UnsafeRegister(static wake => ((TaskCompletionSource)wake!).TrySetResult(), wake))
        await using (cancellationToken.UnsafeRegister(static wake => ((TaskCompletionSource)wake!).TrySetResult(), wake))
            await Task.WhenAny(wake.Task, Task.Delay(pause, CancellationToken.None));
        Volatile.Write(ref _wake, null);
        // What is beyond the longest pause is forgotten.
        Take(0);
        _allowed = Math.Max(_allowed, 0);
        return Note(await inner.ReadAsync(cancellationToken));
    }

    private void Take(int frames)
    {
        var now = Environment.TickCount64;
        _allowed = Math.Min(_allowed + (now - _countedAt) * PerSecond, Burst * 1000) - frames * 1000L;
        _countedAt = now;
    }

    // How many frames with nothing in them begin in these bytes.
    private int Count(ReadOnlySpan<byte> bytes)
    {
        var count = 0;
        while (!bytes.IsEmpty)
        {
            var known = Math.Min(_skip, bytes.Length);
            _skip -= known;
            bytes = bytes[known..];
            var part = Math.Min(HeaderLength - _headerHas, bytes.Length);
            bytes[..part].CopyTo(_header.AsSpan(_headerHas));
            _headerHas += part;
            bytes = bytes[part..];
            if (_headerHas < HeaderLength)
                continue;
            _headerHas = 0;
            _skip = BinaryPrimitives.ReadInt32BigEndian(_header) >>> 8;
            if (_header[3] is Settings or Ping or Priority
                || _skip == 0 && (_header[3] is Continuation || _header[3] is Data && (_header[4] & EndStream) == 0))
                count++;
        }
        return count;
    }

    private sealed record Pipe(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
