using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Mirror.Configuration;
using Mirror.Limits;

namespace Mirror.Registry;

/// <summary>
/// Reads the bodies that clients send: layers of any length into an upload, and small documents into memory. A client may send nothing for
/// <see cref="HttpOptions.IdleTimeout"/>, also before the first byte: builders open the requests of all layers at once.
/// </summary>
public sealed class RequestBody(HttpOptions http, DocumentMemory memory, TimeProvider time)
{
    // The lowest rate of a body. It is counted over http.idle_timeout, so that a builder may pause for that long.
    private const int MinBytesPerSecond = 240;

    // One system call and one hash for each buffer. Larger ones are no faster, and each client that pushes holds one.
    private const int BufferSize = 256 * 1024;

    private const int FirstPiece = 16 * 1024;

    /// <summary>
    /// While the server has many clients, waits for the first 16 KiB of a body, or for its end if that comes before. Until then the body
    /// needs no file of the store, and its connection lends the place for it to others.
    /// </summary>
    /// <exception cref="RegistryException">The client sent too little for too long.</exception>
    public async ValueTask WaitForPieceAsync(RegistryRequest request)
    {
        // A client with Expect sends the body only if its request is not refused. The streams of HTTP/2 have a limit of their own.
        if (request.Http.Features.Get<ClientConnection>() is not { IsCrowded: true } connection || PlaceOf(request) is not { } place
            || request.Http.Request.Headers.Expect.Count > 0)
            return;
        place.LendBody();
        connection.WaitsForClient();
        try
        {
            if (!await HasPieceAsync(request.Http.Request.BodyReader))
                throw Cut(request, $"too few bytes arrived in {http.IdleTimeout.TotalSeconds} seconds (http.idle_timeout)");
        }
        finally
        {
            connection.GoesOn();
        }
        await place.TakeBodyBackAsync(request.Aborted);
    }

    /// <summary>
    /// Appends a body to an upload as it arrives. If the connection breaks, the bytes that have arrived are kept, and the client can
    /// continue after them.
    /// </summary>
    /// <param name="maxBytes">How many bytes the body may have.</param>
    /// <returns>False if the body is longer; its first <paramref name="maxBytes"/> bytes are kept.</returns>
    /// <exception cref="RegistryException">The client sent nothing for too long.</exception>
    /// <exception cref="BusyException">The upload would have too many bytes (<see cref="UploadQuotas"/>).</exception>
    public async ValueTask<bool> AppendToAsync(RegistryRequest request, HeldUpload upload, long maxBytes)
    {
        var (left, body) = (maxBytes, request.Http.Request.Body);
        return await ReadAsync(request, async cancellationToken =>
        {
            var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
            try
            {
                var read = await FromClientAsync(body.ReadAsync(buffer, cancellationToken));
                upload.Append(buffer.AsSpan(0, (int)Math.Min(read, left)));
                left -= read;
                return (read, left >= 0);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }, "; the bytes of the upload are kept");
    }

    /// <summary>Reads a whole body into memory, as <see cref="ReadAsync(RegistryRequest, int)"/> does, for the code that reads the request
    /// next. The memory is counted until the body is complete.</summary>
    /// <exception cref="RegistryException">The client sent nothing for too long, or more than <paramref name="maxBytes"/>.</exception>
    /// <exception cref="BusyException">All such bodies together have too much memory.</exception>
    public async ValueTask BufferAsync(RegistryRequest request, int maxBytes)
    {
        using var transfer = request.Transfer = await memory.Transfers.StartAsync(request.Http);
        using var account = memory.Open(transfer);
        var bytes = await ReadAsync(request, maxBytes, account)
            ?? throw new RegistryException(RegistryError.BodyTooLarge, $"it may have {maxBytes} bytes");
        request.Http.Request.Body = new MemoryStream(bytes, writable: false);
        request.Transfer = null;
    }

    /// <summary>
    /// Reads a whole body into memory, which grows with the bytes that arrive and not by the announced length. The memory is counted until
    /// the request ends.
    /// </summary>
    /// <returns>Null if the body is longer than <paramref name="maxBytes"/>.</returns>
    /// <exception cref="RegistryException">The client sent nothing for too long.</exception>
    /// <exception cref="BusyException">All such bodies together have too much memory.</exception>
    public async ValueTask<byte[]?> ReadAsync(RegistryRequest request, int maxBytes)
    {
        var account = memory.Open(request.Transfer);
        request.Http.Response.RegisterForDispose(account);
        return await ReadAsync(request, maxBytes, account);
    }

    private async ValueTask<byte[]?> ReadAsync(RegistryRequest request, int maxBytes, DocumentMemory.Account account)
    {
        if (request.Http.Request.ContentLength > maxBytes)
            return null;
        using var body = new GrowingBuffer();
        var place = PlaceOf(request);
        place?.LendBody();
        var reader = request.Http.Request.BodyReader;
        var fits = await ReadAsync(request, async cancellationToken =>
        {
            // The bytes that have arrived stay in the connection's own memory until there is room for them.
            var arrived = (await FromClientAsync(reader.ReadAsync(cancellationToken))).Buffer;
            var (length, fits) = ((int)arrived.Length, body.Length + arrived.Length <= maxBytes);
            try
            {
                if (!fits)
                    return (length, false);
                await account.GrowToAsync(body.Length + length, request.Aborted);
                foreach (var part in arrived)
                    body.Write(part.Span);
                return (length, true);
            }
            finally
            {
                reader.AdvanceTo(arrived.End);
            }
        }, "");
        if (!fits)
            return null;
        if (place is not null)
            await place.TakeBodyBackAsync(request.Aborted);
        return body.ToArray();
    }

    // The bytes stay unread. False if http.idle_timeout was over before the first byte, or after it.
    private async ValueTask<bool> HasPieceAsync(PipeReader reader)
    {
        using var idle = new CancellationTokenSource(http.IdleTimeout);
        await using var late = idle.Token.Register(reader.CancelPendingRead);
        for (var arrived = 0L; arrived < FirstPiece;)
        {
            var read = await FromClientAsync(reader.ReadAsync(CancellationToken.None));
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (read.IsCompleted)
                break;
            if (read.IsCanceled)
                return false;
            if (arrived == 0)
                idle.CancelAfter(http.IdleTimeout);
            arrived = read.Buffer.Length;
        }
        return true;
    }

    // The streams of a connection of HTTP/2 have one place together.
    private static ConnectionPlace? PlaceOf(RegistryRequest request) =>
        HttpProtocol.IsHttp2(request.Http.Request.Protocol) ? null : request.Http.Features.Get<ConnectionPlace>();

    // Gives each part of a body to the caller. True at the end of the body; false as soon as the caller refuses a part. What happens to the
    // bytes that have arrived, when the client is cut, ends the message.
    private async ValueTask<bool> ReadAsync(
        RegistryRequest request, Func<CancellationToken, ValueTask<(int Length, bool GoesOn)>> takeAsync, string whenCut)
    {
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(request.Aborted);
        var body = request.Http.Request.Body;
        var (counted, since) = (0L, 0L);
        try
        {
            while (true)
            {
                idle.CancelAfter(http.IdleTimeout);
                request.Transfer?.WaitForClient();
                // Wait without a buffer, so that a client that does not send occupies no memory.
                _ = await FromClientAsync(body.ReadAsync(Memory<byte>.Empty, idle.Token));
                idle.CancelAfter(Timeout.InfiniteTimeSpan);
                // The client has sent something. If its bytes wait for memory now, the client is not to blame.
                request.Transfer?.Moved(0);
                var (length, goesOn) = await takeAsync(idle.Token);
                request.Transfer?.Moved(length);
                if (length == 0 || !goesOn)
                    return length == 0;
                Count(length);
            }
        }
        catch (Exception refused) when (refused is BusyException or NoRoomException)
        {
            // The rest of the body is not read.
            request.Http.Response.Headers.Connection = "close";
            throw;
        }
        catch (OperationCanceledException) when (idle.IsCancellationRequested && !request.Aborted.IsCancellationRequested)
        {
            throw Cut(request, $"no bytes arrived for {http.IdleTimeout.TotalSeconds} seconds (http.idle_timeout){whenCut}");
        }

        void Count(int length)
        {
            counted += length;
            var now = time.GetTimestamp();
            if (since == 0)
                since = now;
            if (time.GetElapsedTime(since, now) < http.IdleTimeout)
                return;
            if (counted < MinBytesPerSecond * http.IdleTimeout.TotalSeconds)
                throw Cut(
                    request, $"{counted} bytes in {http.IdleTimeout.TotalSeconds} seconds (http.idle_timeout) are too few{whenCut}");
            (counted, since) = (0, now);
        }
    }

    // A broken connection of HTTP/1.1 has an exception of its own. A stream of HTTP/2 that the client resets has none, so it would look
    // like a failure of the disk.
    private static async ValueTask<T> FromClientAsync<T>(ValueTask<T> read)
    {
        try
        {
            return await read;
        }
        catch (IOException gone) when (gone is not (BadHttpRequestException or ConnectionResetException))
        {
            throw new ConnectionResetException(gone.Message, gone);
        }
    }

    private static RegistryException Cut(RegistryRequest request, string why)
    {
        // The rest of the body is not read.
        request.Http.Response.Headers.Connection = "close";
        return new RegistryException(RegistryError.RequestTimeout, why);
    }
}
