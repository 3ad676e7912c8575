using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Registry;

/// <summary><c>/v2/&lt;name&gt;/blobs/&lt;digest&gt;</c></summary>
internal static class BlobRoute
{
    public static async Task HeadAsync(RegistryRequest request, RepositoryResolver repositories, RegistryEvents events)
    {
        var digest = request.Digest;
        var repository = repositories[request.Name];
        var answer = await repository.HeadBlobAsync(digest, request.Aborted) ?? throw Unknown(digest);
        request.SetCacheStatus(answer);
        request.Http.Response.Headers.AcceptRanges = "bytes";
        if (!ContentHeaders.Set(request.Http, MediaTypes.OctetStream, digest, byDigest: true))
            request.Http.Response.ContentLength = answer.Value;
        events.Pulled(request, repository.Name, digest, answer.Value);
    }

    /// <param name="redirects">Whether a client is sent to the store, where that serves it as well.</param>
    /// <param name="forReplica">Whether another replica asks, which has found this one to be downloading the blob.</param>
    public static async Task GetAsync(RegistryRequest request, RepositoryResolver repositories, RegistryEvents events, bool redirects, bool forReplica)
    {
        var digest = request.Digest;
        var repository = repositories[request.Name];
        var answer = await repository.OpenBlobAsync(digest, ignoreLease: forReplica, request.Aborted) ?? throw Unknown(digest);
        request.SetCacheStatus(answer);
        await using var content = answer.Value;
        await AnswerAsync(request, digest, content, redirects && !forReplica);
        // What a client pulled is counted where it asked.
        if (request.Http.Response.StatusCode != StatusCodes.Status304NotModified && !forReplica)
            events.Pulled(request, repository.Name, digest, content.Length);
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
    public static async Task DeleteAsync(RegistryRequest request, RepositoryResolver repositories, RegistryEvents events)
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
        using var step = SendSize.Take();
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
