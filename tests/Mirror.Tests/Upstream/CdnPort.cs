using System.Buffers;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace Mirror.Tests.Upstream;

/// <summary>The CDN: the bytes of blobs, for those who come with a signed address and without credentials.</summary>
internal static class CdnPort
{
    internal static async Task AnswerAsync(HttpContext context, ScriptedHub hub)
    {
        var parts = context.Request.Path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        // Object stores take a second credential beside the signature for a mistake.
        if (context.Request.Headers.Authorization.Count > 0)
            await RegistryPort.ErrorAsync(context, 400, "InvalidArgument");
        else if (!hub.Signatures.TryGetValue(context.Request.Query["verify"].ToString(), out var digest) || parts[^2] != digest.Hex)
            await RegistryPort.ErrorAsync(context, 403, "AccessDenied");
        else
        {
            var name = string.Join('/', parts[1..^3]);
            await SendAsync(context, hub, hub.Repositories[name].Blobs[digest.ToString()]);
        }
    }

    /// <summary>Sends a blob or the range asked for, with the blob's next fault.</summary>
    internal static async Task SendAsync(HttpContext context, ScriptedHub hub, HubBlob blob)
    {
        var fault = hub.NextFault(blob.Digest) ?? new BlobFault();
        if ((context.Request.Headers.Range.Count > 0 ? fault.RangeStatus ?? fault.Status : fault.Status) is { } refused)
        {
            await RegistryPort.ErrorAsync(context, refused, "AccessDenied");
            return;
        }

        var response = context.Response;
        response.ContentType = "application/octet-stream";
        response.Headers.AcceptRanges = "bytes";
        var (from, to) = (0L, blob.Size);
        if (!fault.IgnoresRange
            && RangeHeaderValue.TryParse(context.Request.Headers.Range.ToString(), out var range) && range.Ranges.Count == 1)
        {
            (from, to) = Resolve(range.Ranges.Single(), blob.Size);
            if (fault.ShiftsRange)
                from -= 10;
            if (from >= to)
            {
                response.StatusCode = 416;
                response.Headers.ContentRange = $"bytes */{blob.Size}";
                return;
            }
            response.StatusCode = 206;
            response.Headers.ContentRange = $"bytes {from}-{to - 1}/{blob.Size}";
        }
        if (fault.How == BlobFault.Cut.CleanEnd)
            to = Math.Clamp(fault.EndsAt, from, to);
        response.ContentLength = to - from;
        if (HttpMethods.IsGet(context.Request.Method))
            await SendAsync(context, hub, blob, fault, from, to);
    }

    private static (long From, long To) Resolve(RangeItemHeaderValue range, long size) => range switch
    {
        { From: { } from, To: { } last } => (from, Math.Min(last + 1, size)),
        { From: { } from } => (from, size),
        _ => (Math.Max(0, size - range.To!.Value), size),
    };

    private static async Task SendAsync(HttpContext context, ScriptedHub hub, HubBlob blob, BlobFault fault, long from, long to)
    {
        // What is on its way when a line is cut is lost: no more than on a real line, however busy the machine is.
        if (fault.How is not BlobFault.Cut.None && context.Features.Get<IConnectionSocketFeature>() is { Socket: { } socket })
            socket.SendBufferSize = 16 * 1024;
        var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            for (var offset = from; offset < to;)
            {
                if (offset >= fault.EndsAt && fault.How != BlobFault.Cut.CleanEnd)
                {
                    await context.Response.Body.FlushAsync(context.RequestAborted);
                    if (fault.How != BlobFault.Cut.Stalled)
                    {
                        Cut(context, fault.How);
                        return;
                    }
                    await fault.Gate!.PassAsync(context.RequestAborted);
                    fault = new BlobFault();
                }
                var end = offset < fault.EndsAt ? Math.Min(to, fault.EndsAt) : to;
                var part = buffer.AsMemory(0, (int)Math.Min(buffer.Length, end - offset));
                blob.Read(offset, part.Span);
                if (fault.WrongByte is { } wrong && wrong >= offset && wrong < offset + part.Length)
                    part.Span[(int)(wrong - offset)] ^= 0xFF;
                await hub.Link.TakeAsync(part.Length, context.RequestAborted);
                await context.Response.Body.WriteAsync(part, context.RequestAborted);
                hub.Log.Sent(blob.Digest, part.Length);
                offset += part.Length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>A closed connection is an answer Kestrel was promised more of; a reset one is torn down.</summary>
    private static void Cut(HttpContext context, BlobFault.Cut how)
    {
        if (how == BlobFault.Cut.Reset)
            Answer.ResetConnection(context);
        else
            context.Abort();
    }
}
