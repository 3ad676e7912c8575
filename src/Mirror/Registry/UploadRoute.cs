using Mirror.Health;
using Mirror.Limits;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Registry;

/// <summary><c>/v2/&lt;name&gt;/blobs/uploads/[&lt;id&gt;]</c> (OCI distribution-spec 1.1.1, "Pushing blobs").</summary>
public sealed class UploadRoute(
    RepositoryResolver repositories, Mounts mounts, Uploads uploads, IContentStore content, RequestBody body, Locations locations,
    RegistryEvents events, Transfers transfers, PushQuota quota, StoreWrites writes)
{
    private const string DefaultAlgorithm = "sha256";

    /// <summary>Mounts a stored blob, or stores a whole blob at once, or begins an upload.</summary>
    public async Task StartAsync(RegistryRequest request)
    {
        var repository = request.PushTarget(repositories);
        var query = request.Http.Request.Query;
        if (Paging.Value(query, "digest-algorithm") is { } algorithm && !Digest.Algorithms.Contains(algorithm))
            throw new RegistryException(
                RegistryError.DigestInvalid, $"'digest-algorithm' must be {string.Join(" or ", Digest.Algorithms)}");

        // 1. A stored blob, from a repository that the client may read. If it cannot be mounted, an upload begins instead.
        if (Paging.Value(query, "mount") is { } mount && Digest.TryParse(mount, out var digest))
        {
            var isAllowed = await mounts.IsAllowedAsync(request, digest);
            using var counted = isAllowed && await content.SizeAsync(digest, request.Aborted) is { } mounted
                ? await quota.CountBlobAsync(request.Client, repository.Name, digest, mounted, request.Aborted)
                : null;
            ThrowIf(counted?.Refusal);
            if (isAllowed && await repository.LinkBlobAsync(digest, request.Aborted))
            {
                if (counted is not null)
                    await counted.KeepAsync();
                if (events.IsEnabled)
                {
                    var size = await content.SizeAsync(digest, request.Aborted);
                    events.Mounted(request.Origin(locations), repository.Name, digest, size, Paging.Value(query, "from"));
                }
                Created(request, repository, digest);
                return;
            }
        }

        ThrowIf(await quota.FindRoomAsync(request.Client, repository.Name, request.Aborted));

        // 2. An upload, whether in this request or in several. Before it begins: read the digest, and wait for a place for a whole body. So
        // a request that fails here leaves nothing in the store.
        Digest? whole = Paging.Value(query, "digest") is { } given ? ParseDigest(given) : null;
        if (whole is not null)
            await body.WaitForPieceAsync(request);
        using var transfer = request.Transfer = whole is null ? null : await transfers.StartAsync(request.Http);
        var id = uploads.Begin(repository.Name, request.Client);
        if (whole is not { } named)
        {
            Accepted(request, repository.Name, id, 0, StatusCodes.Status202Accepted);
            return;
        }

        // 3. A whole blob in this request.
        using (var upload = Hold(request, repository.Name, id, named.Algorithm))
        {
            try
            {
                upload.Require(request.Http.Request.ContentLength);
                await body.AppendToAsync(request, upload, long.MaxValue);
            }
            catch
            {
                // No client knows its id, so none could continue it.
                await upload.DiscardAsync();
                throw;
            }
            await FinishAsync(request, repository, upload, named, canBeContinued: false);
        }
        Created(request, repository, named);
    }

    /// <summary>Answers how many bytes of an upload have arrived.</summary>
    public async Task StatusAsync(RegistryRequest request)
    {
        var repository = request.PushTarget(repositories);
        var id = Id(request);
        var length = await uploads.LengthAsync(repository.Name, id, request.Aborted) ?? throw Unknown();
        Accepted(request, repository.Name, id, length, StatusCodes.Status204NoContent);
    }

    /// <summary>Appends a chunk, or a body of any length.</summary>
    public async Task PatchAsync(RegistryRequest request)
    {
        var repository = request.PushTarget(repositories);
        var id = Id(request);
        long length;
        using var use = uploads.KeepWhileWaiting(repository.Name, id);
        await body.WaitForPieceAsync(request);
        using var transfer = request.Transfer = await transfers.StartAsync(request.Http);
        using (var upload = Hold(request, repository.Name, id))
        {
            await ReceiveAsync(request, repository.Name, id, upload);
            length = upload.Length;
        }
        Accepted(request, repository.Name, id, length, StatusCodes.Status202Accepted);
    }

    /// <summary>Appends the last chunk, if there is one. Then verifies the digest, and the upload becomes a blob.</summary>
    public async Task PutAsync(RegistryRequest request)
    {
        var repository = request.PushTarget(repositories);
        var id = Id(request);
        var digest = ParseDigest(request.Http.Request.Query["digest"]);
        using var use = uploads.KeepWhileWaiting(repository.Name, id);
        await body.WaitForPieceAsync(request);
        using var transfer = request.Transfer = await transfers.StartAsync(request.Http);
        using (var upload = Hold(request, repository.Name, id, digest.Algorithm))
        {
            await ReceiveAsync(request, repository.Name, id, upload);
            await FinishAsync(request, repository, upload, digest, canBeContinued: true);
        }
        Created(request, repository, digest);
    }

    /// <summary>Deletes an upload.</summary>
    public async Task CancelAsync(RegistryRequest request)
    {
        var repository = request.PushTarget(repositories);
        using (var upload = Hold(request, repository.Name, Id(request)))
            await upload.DeleteAsync();
        request.Http.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    /// <param name="refusal">Why the quota has no room; null where it has.</param>
    private static void ThrowIf(QuotaRefusal? refusal)
    {
        if (refusal is not null)
            throw RegistryException.Of(refusal);
    }

    private static Guid Id(RegistryRequest request) => Guid.TryParseExact(request.Route.Last, "D", out var id) ? id : throw Unknown();

    private static Digest ParseDigest(string? text) =>
        Digest.TryParse(text, out var digest) ? digest : throw RegistryException.InvalidDigest();

    private static RegistryException Unknown() =>
        new(RegistryError.BlobUploadUnknown, "no such upload: it was finished, cancelled, or abandoned for too long");

    private HeldUpload Hold(RegistryRequest request, RepositoryName name, Guid id, string algorithm = DefaultAlgorithm) =>
        uploads.Hold(name, id, request.Client, algorithm) ?? throw Unknown();

    private async ValueTask ReceiveAsync(RegistryRequest request, RepositoryName name, Guid id, HeldUpload upload)
    {
        try
        {
            var announced = ContentRange.Length(request.Http.Request, upload.Length);
            var end = upload.Length + announced;
            upload.Require(request.Http.Request.ContentLength);
            var fits = await body.AppendToAsync(request, upload, announced ?? long.MaxValue);
            if (!fits || end is not null && end != upload.Length)
                throw new RegistryException(
                    RegistryError.SizeInvalid,
                    $"the chunk does not have the announced {announced} bytes; the upload now has {upload.Length} bytes");
        }
        catch (RegistryException refused)
        {
            // The refusal of a chunk carries the offset at which the client can continue.
            refused.Headers = Headers(request, name, id, upload.Length);
            throw;
        }
        catch (IOException full) when (full.IsNoSpace)
        {
            // Delete it: it is what filled the disk.
            await upload.DiscardAsync();
            throw;
        }
    }

    /// <param name="canBeContinued">Whether the client knows the upload, and can send its last request again.</param>
    private async ValueTask FinishAsync(
        RegistryRequest request, HostedRepository repository, HeldUpload upload, Digest digest, bool canBeContinued)
    {
        // Until the commit begins, nothing happens to the bytes. So if the client disconnects before that, or the store does not answer,
        // the client's next request finishes the upload.
        var isKept = canBeContinued;
        try
        {
            if (!(await upload.Spool.VerifyAsync(digest, request.Aborted) && await upload.Spool.VerifyAgainAsync(digest, request.Aborted)))
            {
                isKept = false;
                throw new RegistryException(
                    RegistryError.DigestInvalid,
                    $"the {upload.Length} bytes of the upload do not have the digest {digest}; they were deleted");
            }
            using var counted = await quota.CountBlobAsync(request.Client, repository.Name, digest, upload.Length, request.Aborted);
            isKept = false;
            ThrowIf(counted.Refusal);
            // From here on the work continues if the client disconnects: a link without its blob would be useless.
            await repository.CommitBlobAsync(upload.Spool, digest, CancellationToken.None);
            writes.Succeeded();
            await counted.KeepAsync();
            if (events.IsEnabled)
                events.Pushed(request.Origin(locations), repository.Name, digest, upload.Length);
        }
        // Another program deleted the upload since the request began.
        catch (IOException missing) when (missing is FileNotFoundException or DirectoryNotFoundException && upload.Spool.IsGone)
        {
            await upload.DiscardAsync();
            throw Unknown();
        }
        catch (Exception failure) when (!isKept && !(canBeContinued && IsTransient(failure) && upload.Spool.IsTemporary))
        {
            await upload.DiscardAsync();
            throw;
        }
        await upload.DiscardAsync();
    }

    // A commit that failed like this has not harmed the bytes, which have all arrived: when the store answers again, the client's next
    // request finishes the upload. After a failed flush the bytes may be lost, and a full disk needs the room of the upload.
    private static bool IsTransient(Exception failure) => failure is StoreUnavailableException or IOException { IsOutOfFiles: true };

    private void Created(RegistryRequest request, HostedRepository repository, Digest digest)
    {
        var response = request.Http.Response;
        response.StatusCode = StatusCodes.Status201Created;
        response.Headers.Location = locations.Blob(request.Http.Request, repository.Name, digest);
        response.Headers["Docker-Content-Digest"] = digest.ToString();
        response.ContentLength = 0;
    }

    private void Accepted(RegistryRequest request, RepositoryName name, Guid id, long length, int status)
    {
        var response = request.Http.Response;
        response.StatusCode = status;
        foreach (var (header, value) in Headers(request, name, id, length))
            response.Headers[header] = value;
        if (status != StatusCodes.Status204NoContent)
            response.ContentLength = 0;
    }

    private List<(string Name, string Value)> Headers(RegistryRequest request, RepositoryName name, Guid id, long length) =>
    [
        ("Location", locations.Upload(request.Http.Request, name, id)),
        // An empty upload is 0-0, like one of one byte: older Docker clients cannot read 0--1.
        ("Range", $"0-{Math.Max(length - 1, 0)}"),
        ("Docker-Upload-UUID", id.ToString()),
    ];
}
