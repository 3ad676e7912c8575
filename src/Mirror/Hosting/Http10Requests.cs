using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mirror.Hosting;

/// <summary>
/// Takes a POST or PUT of HTTP/1.0 without <c>Content-Length</c> as one without a body, as registry:2 does. Kestrel refuses it with 400
/// before any of our code runs. nginx sends such requests for clients that send no length: HTTP/1.0 is what it speaks by default.
/// </summary>
/// <remarks>Looks at the first bytes of a connection only. It changes them only where they are the whole head of a request.</remarks>
internal sealed class Http10Requests(PipeReader input, Action isTls) : PipeReader
{
    private static readonly byte[] NoLength = "Content-Length: 0\r\n\r\n"u8.ToArray();

    private bool _hasLooked;
    // The end of what was read, while Kestrel has a head of our own in its place.
    private SequencePosition? _replaced;

    /// <summary>Accepts such requests on an endpoint. Call it after TLS was set up.</summary>
    /// <param name="isTls">Is told of a connection whose first bytes are TLS. Kestrel refuses these with 400, and logs nothing.</param>
    public static void Accept(ListenOptions endpoint, Action<ConnectionContext> isTls) => endpoint.Use(next => connection =>
    {
        connection.Transport = new Duplex(
            new Http10Requests(connection.Transport.Input, () => isTls(connection)), connection.Transport.Output);
        return next(connection);
    });

    /// <summary>
    /// Ends the connection after a request with <c>Transfer-Encoding</c>, which HTTP/1.0 does not know: who passed it on may have seen its
    /// end elsewhere, and what follows is then no request of the client (RFC 9112, 6.1).
    /// </summary>
    public static RequestDelegate EndAfterChunks(RequestDelegate next) => context =>
    {
        if (context.Request.Protocol == HttpProtocol.Http10 && context.Request.Headers.TransferEncoding.Count > 0)
            context.Response.OnStarting(
                static response =>
                {
                    ((HttpResponse)response).Headers.Connection = "close";
                    return Task.CompletedTask;
                }, context.Response);
        return next(context);
    };

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) =>
        _hasLooked ? input.ReadAsync(cancellationToken) : LookAsync(cancellationToken);

    public override bool TryRead(out ReadResult result)
    {
        if (!input.TryRead(out result))
            return false;
        if (!_hasLooked)
            result = Look(result);
        return true;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        if (_replaced is { } end)
            (consumed, examined, _replaced) = (end, end, null);
        input.AdvanceTo(consumed, examined);
    }

    public override void CancelPendingRead() => input.CancelPendingRead();

    public override void Complete(Exception? exception = null) => input.Complete(exception);

    private async ValueTask<ReadResult> LookAsync(CancellationToken cancellationToken) => Look(await input.ReadAsync(cancellationToken));

    private ReadResult Look(ReadResult read)
    {
        if (read.Buffer.IsEmpty)
            return read;
        _hasLooked = true;
        // A record of a handshake.
        if (read.Buffer.FirstSpan is [22, 3, ..])
            isTls();
        // Most connections begin with a GET, or are HTTP/2.
        if (!read.Buffer.IsSingleSegment || read.Buffer.FirstSpan is not ([(byte)'P', (byte)'O' or (byte)'U', ..] and [.., (byte)'\n'] head)
            || !IsWithoutLength(Encoding.Latin1.GetString(head)))
            return read;
        _replaced = read.Buffer.End;
        return new ReadResult(new ReadOnlySequence<byte>([.. head[..^2], .. NoLength]), read.IsCanceled, read.IsCompleted);
    }

    private static bool IsWithoutLength(string head) =>
        head.EndsWith("\r\n\r\n", StringComparison.Ordinal)
        && head.IndexOf("\r\n", StringComparison.Ordinal) is var line && head.AsSpan(0, line).EndsWith(" HTTP/1.0")
        && head.IndexOf("\r\n\r\n", StringComparison.Ordinal) == head.Length - 4
        && !head.Contains("\nContent-Length:", StringComparison.OrdinalIgnoreCase)
        && !head.Contains("\nTransfer-Encoding:", StringComparison.OrdinalIgnoreCase);

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
