using System.Buffers;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Mirror.Storage.Spooling;

namespace Mirror.Registry;

/// <summary>What clients send: layers of any length, straight into a spool, and small documents.</summary>
internal static class RequestBody
{
    // One system call and one hash each; larger ones are no faster and are held for each client.
    private const int BufferSize = 256 * 1024;

    /// <summary>How long a client may send nothing in the middle of a body. It may be compressing what comes next.</summary>
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Appends a body to a spool as it arrives. What has arrived is kept, also where the connection dies: the client can go on behind it.
    /// </summary>
    /// <param name="most">How many bytes there may be at most.</param>
    /// <returns>False where there are more; the first <paramref name="most"/> are kept.</returns>
    public static async ValueTask<bool> AppendToAsync(RegistryRequest request, Spool spool, long most)
    {
        // Idle time counts here, not the average rate.
        if (request.Http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
            rate.MinDataRate = null;
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(request.Aborted);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            for (var left = most; ;)
            {
                idle.CancelAfter(IdleTimeout);
                var read = await request.Http.Request.Body.ReadAsync(buffer, idle.Token);
                if (read == 0)
                    return true;
                spool.Append(buffer.AsSpan(0, (int)Math.Min(read, left)));
                if (read > left)
                    return false;
                left -= read;
            }
        }
        catch (OperationCanceledException) when (!request.Aborted.IsCancellationRequested)
        {
            throw new RegistryException(RegistryError.RequestTimeout, $"nothing came for {IdleTimeout.TotalSeconds} seconds; what came before is kept");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>A whole body of bounded length.</summary>
    /// <returns>Null where it is longer.</returns>
    public static async ValueTask<byte[]?> ReadAsync(RegistryRequest request, int most)
    {
        if (request.Http.Request.ContentLength > most)
            return null;
        using var body = new MemoryStream((int)(request.Http.Request.ContentLength ?? 0));
        var buffer = ArrayPool<byte>.Shared.Rent(32 * 1024);
        try
        {
            while (await request.Http.Request.Body.ReadAsync(buffer, request.Aborted) is > 0 and var read)
            {
                if (body.Length + read > most)
                    return null;
                body.Write(buffer, 0, read);
            }
            return body.ToArray();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
