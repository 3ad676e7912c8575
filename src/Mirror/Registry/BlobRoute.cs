using Mirror.Fleet;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary><c>/v2/&lt;name&gt;/blobs/&lt;digest&gt;</c></summary>
internal static class BlobRoute
{
    // Between two attempts to reach a replica that has what is asked for.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    public static async Task HeadAsync(RegistryRequest request, Repositories repositories, RegistryEvents events)
    {
        var digest = request.Digest;
        var repository = repositories[request.Name];
        var answer = await repository.HeadBlobAsync(digest, request.Aborted) ?? throw Unknown(digest);
        request.Came(answer);
        request.Http.Response.Headers.AcceptRanges = "bytes";
        if (!ContentHeaders.Set(request.Http, MediaTypes.OctetStream, digest, byDigest: true))
            request.Http.Response.ContentLength = answer.Value;
        events.Pulled(request, repository.Name, digest, answer.Value);
    }

    /// <param name="redirects">Whether a client is sent to the store, where that serves it as well.</param>
    public static async Task GetAsync(RegistryRequest request, Repositories repositories, Forwarding forwarding, RegistryEvents events, bool redirects)
    {
        var digest = request.Digest;
        var repository = repositories[request.Name];
        // What was forwarded here is answered here.
        var here = forwarding.IsForwarded(request.Http.Request);
        for (var deadline = FillLeases.Life + Pause; ; deadline -= Pause)
        {
            var answer = await repository.OpenBlobAsync(digest, here || deadline <= TimeSpan.Zero, request.Aborted) ?? throw Unknown(digest);
            request.Came(answer);
            if (answer.Value is not ContentElsewhere elsewhere)
            {
                await using var content = answer.Value;
                await AnswerAsync(request, digest, content, redirects);
                if (request.Http.Response.StatusCode != StatusCodes.Status304NotModified)
                    events.Pulled(request, repository.Name, digest, content.Length);
                return;
            }
            if (await forwarding.TryAsync(request.Http, elsewhere.Replica, new ForwardedBody(digest, ReopenAsync, read => request.Written += read)))
                return;
            // It is gone, and so will its lease be.
            await Task.Delay(Pause, request.Aborted);
        }

        async Task<ForwardedSource> ReopenAsync(bool mustBeHere, CancellationToken cancellationToken)
        {
            var answer = await repository.OpenBlobAsync(digest, mustBeHere, cancellationToken) ?? throw Unknown(digest);
            return answer.Value is ContentElsewhere elsewhere ? new(elsewhere.Replica, null) : new(null, answer.Value);
        }
    }

    private static async Task AnswerAsync(RegistryRequest request, Digest digest, Content content, bool redirects)
    {
        var response = request.Http.Response;
        response.Headers.AcceptRanges = "bytes";
        if (ContentHeaders.Set(request.Http, MediaTypes.OctetStream, digest, byDigest: true))
            return;
        if (redirects && content is ILocatedContent located)
        {
            response.StatusCode = StatusCodes.Status307TemporaryRedirect;
            response.Headers.Location = (await located.LocateAsync(request.Aborted)).OriginalString;
            // The address holds for minutes, and for whoever knows it.
            response.Headers.CacheControl = "no-store";
            return;
        }
        var (from, end) = (0L, content.Length ?? long.MaxValue);
        if (content.Length is { } length)
        {
            if (ByteRange.Of(request.Http.Request, length, $"\"{digest}\"") is { } range)
            {
                (from, end) = range;
                if (from >= end)
                {
                    response.Headers.ContentRange = $"bytes */{length}";
                    throw new RegistryException(RegistryError.RangeInvalid, $"the blob has {length} bytes");
                }
                response.StatusCode = StatusCodes.Status206PartialContent;
                response.Headers.ContentRange = $"bytes {from}-{end - 1}/{length}";
            }
            response.ContentLength = end - from;
        }
        await content.PrepareAsync(from, end, request.Aborted);
        // The client learns length and digest now, however long the first byte takes.
        await response.StartAsync(request.Aborted);
        await SendAsync(request, content, from, end);
    }

    /// <summary>Takes a blob out of the repository; its bytes stay until they are collected.</summary>
    public static async Task DeleteAsync(RegistryRequest request, Repositories repositories, RegistryEvents events)
    {
        var digest = request.Digest;
        var repository = repositories[request.Name];
        if (!await repository.DeleteBlobAsync(digest, request.Aborted))
            throw Unknown(digest);
        events.Deleted(request, repository.Name, digest);
        request.Http.Response.StatusCode = StatusCodes.Status202Accepted;
        request.Http.Response.ContentLength = 0;
    }

    private static async Task SendAsync(RegistryRequest request, Content content, long from, long end)
    {
        using var step = SendBuffer.Take();
        var writer = request.Http.Response.BodyWriter;
        while (from < end)
        {
            var buffer = writer.GetMemory((int)Math.Min(step.Size, end - from));
            var read = await content.ReadAsync(from, buffer[..(int)Math.Min(buffer.Length, end - from)], request.Aborted);
            if (read == 0)
            {
                // Shorter than was promised: never a clean end.
                if (end != long.MaxValue)
                    throw new EndOfStreamException($"The content ended at byte {from} of {end}.");
                return;
            }
            writer.Advance(read);
            from += read;
            await writer.FlushAsync(request.Aborted);
            request.Written += read;
        }
    }

    private static RegistryException Unknown(Digest digest) => new(RegistryError.BlobUnknown, $"unknown blob {digest}");
}
