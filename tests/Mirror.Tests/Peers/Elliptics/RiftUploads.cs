using Microsoft.AspNetCore.Http;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>Reads the bodies of requests and writes them.</summary>
internal sealed class RiftUploads(RiftObjects objects)
{
    private const int MostJson = 16 << 20;

    public int BytesPerPiece { get; set; } = 10 << 20;

    /// <summary>A body as a whole; null: it is larger than all objects may be.</summary>
    public Task<byte[]?> ReadAsync(HttpContext context) => ReadAsync(context, objects.Capacity);

    /// <summary>A body as a whole; null: it is larger than any real JSON.</summary>
    public static Task<byte[]?> ReadJsonAsync(HttpContext context) => ReadAsync(context, MostJson);

    /// <summary>Writes a body in pieces, as it comes (<c>on_buffered_upload</c>, later <c>on_upload</c>).</summary>
    /// <returns>Null: it failed.</returns>
    public async Task<RiftObject?> WriteAsync(HttpContext context, string id, long offset, bool isAppend)
    {
        var length = context.Request.ContentLength ?? 0;
        var end = offset + length;
        var piece = new byte[length == 0 ? BytesPerPiece : (int)Math.Min(length, BytesPerPiece)];
        for (var isFirst = true; ; isFirst = false)
        {
            var read = await context.Request.Body.ReadAtLeastAsync(
                piece, piece.Length, throwOnEndOfStream: false, context.RequestAborted);
            var bytes = piece.AsMemory(0, read);
            var isLast = read < piece.Length || offset + read == end;
            RiftObject? written = null;
            // A body without a length is written piece by piece, each of them whole.
            if (length == 0 || (isFirst && isLast))
                written = objects.Write(id, offset, bytes.Span, isAppend);
            else if (isLast)
                written = objects.Commit(id, offset, bytes.Span, end);
            else if (!(isFirst ? objects.Prepare(id, offset, bytes.Span, end) : objects.WritePiece(id, offset, bytes.Span)))
                return null;
            if (isLast || (length == 0 && written is null))
                return written;
            offset += read;
        }
    }

    private static async Task<byte[]?> ReadAsync(HttpContext context, long most)
    {
        using var body = new MemoryStream();
        var buffer = new byte[64 << 10];
        for (int read; (read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0;)
        {
            if (body.Length + read > most)
                return null;
            body.Write(buffer, 0, read);
        }
        return body.ToArray();
    }
}
