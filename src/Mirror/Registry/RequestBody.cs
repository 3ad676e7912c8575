using System.Buffers;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Mirror.Storage.Spooling;

namespace Mirror.Registry;

/// <summary>Reads the bodies that clients send: layers of any length into a spool, and small documents into memory.</summary>
internal static class RequestBody
{
    // One system call and one hash for each buffer. Larger ones are no faster, and each client that pushes holds one.
    private const int BufferSize = 256 * 1024;

    /// <summary>How long a client may send nothing in the middle of a body. It may be compressing the next bytes.</summary>
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromMinutes(15);

    /// <summary>
    /// Appends a body to a spool as it arrives. If the connection breaks, the bytes that have arrived are kept, and the client can
    /// continue after them.
    /// </summary>
    /// <param name="maxBytes">How many bytes the body may have.</param>
    /// <returns>False if the body is longer; its first <paramref name="maxBytes"/> bytes are kept.</returns>
    /// <exception cref="RegistryException">The client sent nothing for two minutes.</exception>
    public static async ValueTask<bool> AppendToAsync(RegistryRequest request, Spool spool, long maxBytes)
    {
        // The idle timeout below takes the place of Kestrel's minimum rate.
        if (request.Http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
            rate.MinDataRate = null;
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(request.Aborted);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            for (var left = maxBytes; ;)
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
            throw new RegistryException(
                RegistryError.RequestTimeout, $"no bytes arrived for {IdleTimeout.TotalSeconds} seconds; the bytes before are kept");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Reads a whole body into memory, which grows with the bytes that arrive and not by the announced length.</summary>
    /// <returns>Null if the body is longer than <paramref name="maxBytes"/>.</returns>
    public static async ValueTask<byte[]?> ReadAsync(RegistryRequest request, int maxBytes)
    {
        if (request.Http.Request.ContentLength > maxBytes)
            return null;
        using var body = new MemoryStream();
        var buffer = ArrayPool<byte>.Shared.Rent(32 * 1024);
        try
        {
            while (await request.Http.Request.Body.ReadAsync(buffer, request.Aborted) is > 0 and var read)
            {
                if (body.Length + read > maxBytes)
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
