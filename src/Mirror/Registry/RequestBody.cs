using System.Buffers;
using Mirror.Configuration;
using Mirror.Storage.Spooling;

namespace Mirror.Registry;

/// <summary>
/// Reads the bodies that clients send: layers of any length into a spool, and small documents into memory. A client may send nothing for
/// <see cref="HttpOptions.IdleTimeout"/>, also before the first byte: builders open the requests of all layers at once.
/// </summary>
public sealed class RequestBody(HttpOptions http)
{
    // One system call and one hash for each buffer. Larger ones are no faster, and each client that pushes holds one.
    private const int BufferSize = 256 * 1024;

    /// <summary>
    /// Appends a body to a spool as it arrives. If the connection breaks, the bytes that have arrived are kept, and the client can
    /// continue after them.
    /// </summary>
    /// <param name="maxBytes">How many bytes the body may have.</param>
    /// <returns>False if the body is longer; its first <paramref name="maxBytes"/> bytes are kept.</returns>
    /// <exception cref="RegistryException">The client sent nothing for too long.</exception>
    public async ValueTask<bool> AppendToAsync(RegistryRequest request, Spool spool, long maxBytes)
    {
        var left = maxBytes;
        return await ReadAsync(request, BufferSize, bytes =>
        {
            spool.Append(bytes[..(int)Math.Min(bytes.Length, left)]);
            left -= bytes.Length;
            return left >= 0;
        });
    }

    /// <summary>Reads a whole body into memory, which grows with the bytes that arrive and not by the announced length.</summary>
    /// <returns>Null if the body is longer than <paramref name="maxBytes"/>.</returns>
    /// <exception cref="RegistryException">The client sent nothing for too long.</exception>
    public async ValueTask<byte[]?> ReadAsync(RegistryRequest request, int maxBytes)
    {
        if (request.Http.Request.ContentLength > maxBytes)
            return null;
        using var body = new MemoryStream();
        var fits = await ReadAsync(request, 32 * 1024, bytes =>
        {
            if (body.Length + bytes.Length > maxBytes)
                return false;
            body.Write(bytes);
            return true;
        });
        return fits ? body.ToArray() : null;
    }

    // Hands on each part of a body until there is none, which is true, or until a part is refused.
    private async ValueTask<bool> ReadAsync(RegistryRequest request, int bufferSize, Func<ReadOnlySpan<byte>, bool> take)
    {
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(request.Aborted);
        var buffer = ArrayPool<byte>.Shared.Rent(bufferSize);
        try
        {
            while (true)
            {
                idle.CancelAfter(http.IdleTimeout);
                var read = await request.Http.Request.Body.ReadAsync(buffer, idle.Token);
                if (read == 0)
                    return true;
                if (!take(buffer.AsSpan(0, read)))
                    return false;
            }
        }
        catch (OperationCanceledException) when (!request.Aborted.IsCancellationRequested)
        {
            // The rest of the body is not read.
            request.Http.Response.Headers.Connection = "close";
            throw new RegistryException(
                RegistryError.RequestTimeout,
                $"no bytes arrived for {http.IdleTimeout.TotalSeconds} seconds (http.idle_timeout); the bytes of an upload are kept");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
