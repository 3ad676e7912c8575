using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using static Mirror.Tests.Peers.Elliptics.RiftAnswer;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>Sends an object's bytes, or parts of them (<c>on_get</c> in Rift's include/rift/io.hpp).</summary>
internal static class RiftGet
{
    public static Task ByQueryAsync(HttpContext context, RiftObject? found)
    {
        if (Number(context, "offset") is not { } offset || Number(context, "size") is not { } size)
            return Status(context, 400);
        if (found is null)
            return Status(context, 404);
        // The node refuses it, and the release tells one failure of a node from another only where there is no object.
        if (offset >= found.Length)
            return Status(context, 503);
        if (context.Request.GetTypedHeaders().IfModifiedSince is { } since
            && found.Modified.ToUnixTimeSeconds() <= since.ToUnixTimeSeconds())
            return Status(context, 304);
        var bytes = Cut(found.Bytes, offset, size);
        // A range counts from the offset.
        return RangesOf(context.Request) is { } ranges
            ? SendAsync(context, found, bytes, 0, Resolve(ranges, bytes.Length), ranges.Length > 1)
            : SendAsync(context, found, bytes);
    }

    public static Task ByPathAsync(HttpContext context, RiftObject? found)
    {
        if (Number(context, "offset") is not { } offset || Number(context, "size") is not { } size)
            return Status(context, 400);
        if (found is null)
            return Status(context, 404);
        if (offset >= found.Length)
            return Status(context, 400);
        var bytes = Cut(found.Bytes, offset, size);
        // Where none of the ranges can be understood, all is sent.
        return RangesOf(context.Request) is { } ranges && ranges.Any(range => range is not null)
            ? SendAsync(context, found, bytes, offset, Resolve(ranges, bytes.Length), ranges.Length > 1)
            : SendAsync(context, found, bytes);
    }

    private static ReadOnlyMemory<byte> Cut(ReadOnlyMemory<byte> bytes, long offset, long size) =>
        bytes.Slice((int)offset, (int)Math.Min(bytes.Length - offset, size == 0 ? long.MaxValue : size));

    // Null: the request has no ranges. A range that is not understood is null.
    private static (long? From, long? To)?[]? RangesOf(HttpRequest request) =>
        request.Headers.Range.ToString() is var header && header.StartsWith("bytes=", StringComparison.Ordinal)
            ? [.. header["bytes=".Length..].Split(',').Select(Parse)]
            : null;

    private static (long? From, long? To)? Parse(string range)
    {
        if (range.Length <= 1 || range.Split('-', 2) is not [var first, var last])
            return null;
        var (from, to) = (Parsed(first), Parsed(last));
        return (first.Length > 0 && from is null) || (last.Length > 0 && to is null) || from > to ? null : (from, to);

        static long? Parsed(string number) =>
            long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    // The first and the last byte of each range that can be had.
    private static (int From, int To)[] Resolve((long? From, long? To)?[] ranges, int length) =>
    [
        .. ranges.OfType<(long? From, long? To)>()
            .Select(range => range.From is { } from
                ? (From: from, To: Math.Min(length - 1, range.To ?? long.MaxValue))
                : (From: Math.Max(0, length - range.To!.Value), To: length - 1))
            .Where(range => range.From < length)
            .Select(range => ((int)range.From, (int)range.To)),
    ];

    private static async Task SendAsync(HttpContext context, RiftObject found, ReadOnlyMemory<byte> bytes)
    {
        SetHeaders(context, found, "application/octet-stream", bytes.Length);
        await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    // What the ranges' own numbers begin with is the origin.
    private static async Task SendAsync(
        HttpContext context, RiftObject found, ReadOnlyMemory<byte> bytes, long origin, (int From, int To)[] ranges, bool isMany)
    {
        if (ranges.Length == 0)
        {
            await Status(context, 416);
            return;
        }
        context.Response.StatusCode = 206;
        context.Response.Headers.AcceptRanges = "bytes";
        if (!isMany)
        {
            var (from, to) = ranges[0];
            context.Response.Headers.ContentRange = ContentRange(ranges[0]);
            await SendAsync(context, found, bytes[from..(to + 1)]);
            return;
        }
        const string boundary = "6B8B4567327B23C6";
        using var body = new MemoryStream();
        foreach (var range in ranges)
        {
            body.Write(Encoding.ASCII.GetBytes(
                $"--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: {ContentRange(range)}\r\n\r\n"));
            body.Write(bytes.Span[range.From..(range.To + 1)]);
            body.Write("\r\n"u8);
        }
        body.Write(Encoding.ASCII.GetBytes($"--{boundary}--\r\n"));
        SetHeaders(context, found, $"multipart/byteranges; boundary={boundary}", body.Length);
        await context.Response.Body.WriteAsync(body.ToArray(), context.RequestAborted);

        string ContentRange((int From, int To) range) => string.Create(
            CultureInfo.InvariantCulture, $"bytes {origin + range.From}-{origin + range.To}/{origin + bytes.Length}");
    }

    private static void SetHeaders(HttpContext context, RiftObject found, string contentType, long length)
    {
        context.Response.ContentType = contentType;
        context.Response.ContentLength = length;
        context.Response.Headers.LastModified = found.Modified.ToString("R", CultureInfo.InvariantCulture);
    }
}
