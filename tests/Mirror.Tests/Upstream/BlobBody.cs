using System.Net;

namespace Mirror.Tests.Upstream;

/// <summary>A part of a blob as the body of a request, made while it is sent.</summary>
internal sealed class BlobBody(HubBlob blob, long from, long end, bool isLengthKnown) : HttpContent
{
    public bool IsLengthKnown => isLengthKnown;

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var buffer = new byte[256 << 10];
        for (var at = from; at < end;)
        {
            var part = buffer.AsMemory(0, (int)Math.Min(buffer.Length, end - at));
            blob.Read(at, part.Span);
            await stream.WriteAsync(part, cancellationToken);
            at += part.Length;
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = isLengthKnown ? end - from : 0;
        return isLengthKnown;
    }
}
