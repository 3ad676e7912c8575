using System.Buffers;
using Mirror.Configuration;
using Mirror.Limits;
using Mirror.Notifications;
using Mirror.Redirects;
using Mirror.Repositories;
using Mirror.Schema1;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary><c>/v2/&lt;name&gt;/blobs/&lt;digest&gt;</c> (OCI distribution-spec 1.1.1, "Pulling blobs", "Deleting Blobs").</summary>
public sealed class BlobRoute(
    Locations locations, RegistryEvents events, BlobAddresses addresses, KnownBlobs known, Transfers transfers,
    Schema1Requests schema1, WaitingClients waiting)
{
    /// <summary>Answers with the headers of a blob. The server may write the link of a stored blob, or touch the blob. It requests the
    /// blob's bytes for this in two cases: upstream's Content-Type says HTML, and no manifest tells the same length; or another repository
    /// has stored the blob, and this upstream does not tell its length.</summary>
    public async Task HeadAsync(RegistryRequest request)
    {
        var digest = request.Digest;
        var answer = await request.Repository.HeadBlobAsync(digest, request.Aborted) ?? throw Unknown(digest);
        request.SetCacheStatus(answer);
        request.Http.Response.Headers.AcceptRanges = "bytes";
        if (!ContentHeaders.Set(request.Http, MediaTypes.OctetStream, digest, byDigest: true))
            request.Http.Response.ContentLength = answer.Value;
        if (events.IsEnabled)
            events.Pulled(request.Origin(locations), request.Repository.Name, digest, answer.Value);
    }

    /// <summary>Sends a blob, or a part of it, to a client; or redirects the client to the store, if the store can serve the blob
    /// itself.</summary>
    public async Task GetAsync(RegistryRequest request)
    {
        var digest = request.Digest;
        using var transfer = request.Transfer = await transfers.StartAsync(request.Http);
        if (addresses.AreConfigured && await TryAnswerKnownAsync(request, digest))
            return;
        var removals = known.Removals;
        await using var content = schema1.IsEmptyLayer(digest)
            ? new BytesContent(Conversion.EmptyLayer)
            : await OpenAsync(request, digest, ignoreLease: false);
        var isDownloading = request.CacheStatus is CacheStatus.Miss or CacheStatus.Joined;
        if (isDownloading)
            waiting.Add(request, digest);
        try
        {
            await SendAsync(request, digest, content, addresses.AreConfigured ? removals : null);
        }
        finally
        {
            if (isDownloading)
                waiting.Remove(request);
        }
        NotePull(request, digest, content.Length);
    }

    /// <summary>
    /// Sends a blob to a replica that follows this one's download. The other replica writes the event for its client, so this one writes
    /// none. This replica ignores the lease. The asking replica came here because Redis named this replica as the owner. So this replica
    /// downloads the blob, even if Redis names a third replica now.
    /// </summary>
    public async Task GetForReplicaAsync(RegistryRequest request)
    {
        var digest = request.Digest;
        using var transfer = request.Transfer = await transfers.StartAsync(request.Http);
        await using var content = await OpenAsync(request, digest, ignoreLease: true);
        await SendAsync(request, digest, content, removals: null);
    }

    /// <summary>Removes a blob from the repository. A garbage collection deletes its bytes later, if nothing else names it.</summary>
    public async Task DeleteAsync(RegistryRequest request)
    {
        var digest = request.Digest;
        if (!await request.Repository.DeleteBlobAsync(digest, request.Aborted))
            throw Unknown(digest);
        if (events.IsEnabled)
            events.Deleted(request.Origin(locations), request.Repository.Name, digest);
        request.Http.Response.StatusCode = StatusCodes.Status202Accepted;
        request.Http.Response.ContentLength = 0;
    }

    private static async ValueTask<Content> OpenAsync(RegistryRequest request, Digest digest, bool ignoreLease)
    {
        var answer = await request.Repository.OpenBlobAsync(digest, ignoreLease, request.Aborted) ?? throw Unknown(digest);
        request.SetCacheStatus(answer);
        return answer.Value;
    }

    // Redirects the client without asking the store again: the store had the blob a few seconds ago.
    private async ValueTask<bool> TryAnswerKnownAsync(RegistryRequest request, Digest digest)
    {
        if (known.Find(request.Repository.Name, digest) is not { } blob
            || !await request.Repository.TryNoteRedirectAsync(digest, request.Aborted))
            return false;
        request.SetCacheStatus(new Answer<KnownBlob>(blob, blob.Status));
        request.Http.Response.Headers.AcceptRanges = "bytes";
        if (!ContentHeaders.Set(request.Http, MediaTypes.OctetStream, digest, byDigest: true)
            && !await RedirectAsync(request, digest, blob))
            return false;
        NotePull(request, digest, blob.Length);
        return true;
    }

    private async ValueTask<bool> RedirectAsync(RegistryRequest request, Digest digest, KnownBlob blob)
    {
        if (await addresses.LocateAsync(digest, blob, request.Http.Connection.RemoteIpAddress, request.Aborted) is not { } address)
            return false;
        var response = request.Http.Response;
        response.StatusCode = StatusCodes.Status307TemporaryRedirect;
        response.Headers.Location = HeaderText.Of(address);
        // A signed address is valid for a limited time only, and for every client that knows it.
        response.Headers.CacheControl = "no-store";
        return true;
    }

    private void NotePull(RegistryRequest request, Digest digest, long? length)
    {
        if (events.IsEnabled && request.Http.Response.StatusCode != StatusCodes.Status304NotModified)
            events.Pulled(request.Origin(locations), request.Repository.Name, digest, length);
    }

    // removals: known.Removals as it was before the content was opened, for a client that may be redirected; null for any other client.
    private async Task SendAsync(RegistryRequest request, Digest digest, Content content, long? removals)
    {
        // 1. Headers; 304 where the client has the blob.
        var response = request.Http.Response;
        response.Headers.AcceptRanges = "bytes";
        if (ContentHeaders.Set(request.Http, MediaTypes.OctetStream, digest, byDigest: true))
            return;

        // 2. Redirect the client to the store's own address, if there is one.
        if (removals is { } before && content is ILocatedContent located)
        {
            var blob = new KnownBlob(located, content.Length, request.CacheStatus is null ? null : CacheStatus.Hit);
            if (await RedirectAsync(request, digest, blob))
            {
                known.Add(request.Repository.Name, digest, blob, before);
                return;
            }
        }

        // 3. The range, or several. The length is asked once: that of a running download may become known at any moment.
        var whole = content.Length;
        var parts = whole is { } length ? ByteRange.Of(request.Http.Request, length, $"\"{digest}\"") : null;
        if (parts is { Count: 0 })
        {
            response.Headers.ContentRange = $"bytes */{whole}";
            throw new RegistryException(RegistryError.RangeInvalid, $"the blob has {whole} bytes");
        }
        var part = parts?[0] ?? new ByteRange(0, whole ?? long.MaxValue);
        await content.PrepareAsync(part.From, part.End, request.Aborted);
        var multipart = parts is { Count: > 1 } ? new MultipartRanges(parts, whole!.Value, MediaTypes.OctetStream) : null;
        if (parts is not null)
            response.StatusCode = StatusCodes.Status206PartialContent;
        if (multipart is not null)
            response.ContentType = multipart.ContentType;
        else if (parts is not null)
            response.Headers.ContentRange = $"bytes {part.From}-{part.End - 1}/{whole}";
        if (whole is not null)
            response.ContentLength = multipart?.ContentLength ?? part.End - part.From;

        // 4. The headers go out now, so that the client knows the length even if the first byte takes long. Then the bytes.
        await response.StartAsync(request.Aborted);
        await (multipart is null ? CopyAsync(request, content, part.From, part.End) : CopyAsync(request, content, multipart));
    }

    private static async Task CopyAsync(RegistryRequest request, Content content, MultipartRanges multipart)
    {
        foreach (var (i, part) in multipart.Parts.Index())
        {
            if (i > 0)
                await content.PrepareAsync(part.From, part.End, request.Aborted);
            await WriteAsync(multipart.HeadOf(i));
            await CopyAsync(request, content, part.From, part.End);
        }
        await WriteAsync(multipart.End);

        async ValueTask WriteAsync(byte[] bytes)
        {
            request.Http.Response.BodyWriter.Write(bytes);
            await request.FlushAsync(bytes.Length);
        }
    }

    private static async Task CopyAsync(RegistryRequest request, Content content, long from, long end)
    {
        using var step = SendSize.Take();
        var writer = request.Http.Response.BodyWriter;
        while (from < end)
        {
            var buffer = writer.GetMemory((int)Math.Min(step.Size, end - from));
            var read = await content.ReadAsync(from, buffer[..(int)Math.Min(buffer.Length, end - from)], request.Aborted);
            if (read == 0)
            {
                // If the end is known and was not reached, abort: otherwise the client would take the part for the whole blob.
                if (end != long.MaxValue)
                    throw new EndOfStreamException($"The content ended at byte {from} of {end}.");
                return;
            }
            writer.Advance(read);
            from += read;
            await request.FlushAsync(read);
        }
    }

    private static RegistryException Unknown(Digest digest) => new(RegistryError.BlobUnknown, $"unknown blob {digest}");
}
