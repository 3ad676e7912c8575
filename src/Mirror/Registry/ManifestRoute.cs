using System.Buffers;
using Mirror.Health;
using Mirror.Limits;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Repositories;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>
/// <c>/v2/&lt;name&gt;/manifests/&lt;tag or digest&gt;</c>
/// (OCI distribution-spec 1.1.1, "Pulling manifests", "Pushing Manifests", "Deleting Manifests").
/// </summary>
public sealed class ManifestRoute(
    RepositoryResolver repositories, ManifestRules rules, Schema1Requests schema1, RepositoryClasses classes, RequestBody body,
    Locations locations, RegistryEvents events, RequestHistory history, DocumentMemory memory, PushQuota quota,
    StoreWrites writes)
{
    /// <summary>Answers with the headers of a manifest.</summary>
    public async Task HeadAsync(RegistryRequest request)
    {
        var reference = request.Reference;
        var answer = await request.Repository.HeadManifestAsync(reference, request.Aborted) ?? throw Unknown(reference);
        // The same choice as for GET. It needs the index itself.
        if (reference.IsTag(out var tag, out _) && !PlatformChoice.Accepts(request.Http.Request.Headers.Accept, answer.Value.MediaType)
            && await request.Repository.GetManifestAsync(reference, request.Aborted) is { } index
            && PlatformChoice.Needed(request.Http.Request.Headers.Accept, index.Value) is { } child)
            answer = await PlatformChoice.OrIndexAsync(request.Repository.HeadManifestAsync(child, request.Aborted), answer);
        if (tag is not null && schema1.IsFor(request.Http.Request.Headers.Accept)
            && await request.Repository.GetManifestAsync(reference, request.Aborted) is { } image
            && await schema1.ConvertAsync(request.Repository, tag, image, request.Aborted) is { } old)
            answer = new(old.Value.Descriptor, answer.CacheStatus, answer.Stale, answer.Held);
        request.SetCacheStatus(answer);
        var isKnown = ContentHeaders.Set(request.Http, answer.Value.MediaType, answer.Value.Digest, byDigest: tag is null);
        history.Served(request.Repository.Name, reference, isPull: false, client: null);
        if (!isKnown)
            request.Http.Response.ContentLength = answer.Value.Size;
        if (!isKnown && events.IsEnabled)
            events.Pulled(request.Origin(locations), request.Repository.Name, answer.Value, tag, default);
    }

    /// <summary>Sends a manifest. For a tag, a client that cannot read an index gets the index's linux/amd64 manifest.</summary>
    public async Task GetAsync(RegistryRequest request)
    {
        var reference = request.Reference;
        var repository = request.Repository;
        var answer = await repository.GetManifestAsync(reference, request.Aborted) ?? throw Unknown(reference);
        if (reference.IsTag(out var tag, out _) && PlatformChoice.Needed(request.Http.Request.Headers.Accept, answer.Value) is { } child)
            answer = await PlatformChoice.OrIndexAsync(repository.GetManifestAsync(child, request.Aborted), answer);
        if (tag is not null && schema1.IsFor(request.Http.Request.Headers.Accept))
            answer = await schema1.ConvertAsync(repository, tag, answer, request.Aborted) ?? answer;
        request.SetCacheStatus(answer);
        var manifest = answer.Value;
        var isKnown = ContentHeaders.Set(
            request.Http, manifest.Descriptor.MediaType, manifest.Descriptor.Digest, byDigest: tag is null);
        history.Served(
            repository.Name, reference, isPull: true,
            request.User is { Name: { Length: > 0 } user } ? user : request.Http.Connection.RemoteIpAddress);
        if (!isKnown)
        {
            request.Http.Response.ContentLength = manifest.Bytes.Length;
            await SendAsync(request, manifest.Bytes);
        }
        if (!isKnown && events.IsEnabled)
            events.Pulled(request.Origin(locations), repository.Name, manifest.Descriptor, tag, manifest.Bytes);
    }

    /// <summary>
    /// Stores a manifest as it is. The answer is sent when the manifest, its entry in the referrers of its subject, and its tags would
    /// survive a power cut.
    /// </summary>
    public async Task PutAsync(RegistryRequest request)
    {
        // 1. Where to, and under which names.
        var reference = request.Reference;
        var repository = request.PushTarget(repositories);
        var tags = Tags(request, reference);
        var byDigest = !reference.IsTag(out _, out var named);

        // 2. Read the bytes, and check that they have the digest in the path.
        using var transfer = request.Transfer = await memory.Transfers.StartAsync(request.Http);
        if (await body.ReadAsync(request, Manifest.MaxBytes) is not { } bytes)
        {
            // The rest of the body is not read.
            request.Http.Response.Headers.Connection = "close";
            throw new RegistryException(RegistryError.ManifestTooLarge, $"a manifest has {Manifest.MaxBytes} bytes at most");
        }
        // Of schema 1 only the payload counts from here on.
        // Of several headers the first one counts, as in registry:2.
        var contentType = request.Http.Request.Headers.ContentType is [{ } first, ..] ? first : "";
        var isSchema1 = Schema1Requests.IsPush(contentType, bytes);
        if (isSchema1)
            bytes = schema1.PayloadOf(bytes);
        var digest = byDigest ? Digest.Of(bytes, named.Algorithm) : Digest.Of(bytes);
        if (byDigest && digest != named)
            throw new RegistryException(RegistryError.DigestInvalid, $"the digest of the bytes is {digest}");
        if (!ManifestDocument.TryParse(bytes, out var document, out var problem))
            throw new RegistryException(RegistryError.ManifestInvalid, problem);
        // A strict reading passes over the layers of schema 1, because in newer manifests they mean nothing.
        if (isSchema1)
            document = ManifestDocument.Read(bytes)!;
        var type = isSchema1 ? MediaTypes.DockerSignedSchema1 : ManifestRules.TypeOf(contentType, document);
        classes.Require(document, request.User, repository.Name);

        // 3. Store the manifest, if there is room and the repository has everything that the manifest needs.
        using var counted = await quota.CountManifestAsync(request.Client, repository.Name, digest, bytes.Length, request.Aborted);
        if (counted.Refusal is { } refusal)
            throw RegistryException.Of(refusal);
        var manifest = isSchema1 ? schema1.WithSignature(bytes, digest) : new Manifest(new Descriptor(type, digest, bytes.Length), bytes);
        var missing = await repository.PutManifestAsync(
            manifest, document, rules.RequiredBlobs(document), rules.RequiredChildren(document), tags,
            byDigest ? null : ContentHeaders.Condition(request.Http.Request), request.Aborted);
        if (missing.Count > 0)
            throw new RegistryException(
                RegistryError.ManifestBlobUnknown, [.. missing.Select(needed => $"{repository.Name} has no {needed}")])
            {
                Advice = document.IsIndex ? ManifestRules.PlatformsAdvice : null,
            };
        writes.Succeeded();
        await counted.KeepAsync();
        if (events.IsEnabled)
        {
            var origin = request.Origin(locations);
            foreach (var tag in tags.DefaultIfEmpty<string?>(null))
                events.Pushed(origin, repository.Name, manifest.Descriptor, tag, manifest.Bytes);
        }

        // 4. The answer.
        var response = request.Http.Response;
        response.StatusCode = StatusCodes.Status201Created;
        response.Headers.Location = locations.Manifest(request.Http.Request, repository.Name, digest);
        response.Headers["Docker-Content-Digest"] = digest.ToString();
        if (document.Subject is { } subject)
            response.Headers["OCI-Subject"] = subject.ToString();
        if (byDigest && tags.Count > 0)
            response.Headers["OCI-Tag"] = new([.. tags]);
        response.ContentLength = 0;
    }

    /// <summary>Deletes a tag, or a manifest with every tag that names it.</summary>
    public async Task DeleteAsync(RegistryRequest request)
    {
        var reference = request.Reference;
        var repository = request.Repository;
        var condition = ContentHeaders.Condition(request.Http.Request);
        if (!await (reference.IsTag(out var tag, out var digest)
            ? repository.DeleteTagAsync(tag, condition, request.Aborted)
            : repository.DeleteManifestAsync(digest, condition, request.Aborted)))
            throw Unknown(reference);
        if (events.IsEnabled && tag is not null)
            events.Deleted(request.Origin(locations), repository.Name, tag);
        else if (events.IsEnabled)
            events.Deleted(request.Origin(locations), repository.Name, digest);
        request.Http.Response.StatusCode = StatusCodes.Status202Accepted;
        request.Http.Response.ContentLength = 0;
    }

    // Send the manifest in pieces: a client that does not read then occupies the memory of one piece only.
    private static async ValueTask SendAsync(RegistryRequest request, ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var piece = bytes[..Math.Min(bytes.Length, SendSize.Small)];
            request.Http.Response.BodyWriter.Write(piece.Span);
            await request.FlushAsync(piece.Length);
            bytes = bytes[piece.Length..];
        }
    }

    // The tag in the path; or, after a digest in the path, any number of tags in the query.
    private static List<string> Tags(RegistryRequest request, Reference reference)
    {
        if (reference.IsTag(out var only, out _))
            return [only];
        List<string> tags = [];
        foreach (var tag in request.Http.Request.Query["tag"])
        {
            if (!Reference.IsTagName(tag))
                throw RegistryException.InvalidTag();
            if (!tags.Contains(tag))
                tags.Add(tag);
        }
        return tags;
    }

    private static RegistryException Unknown(Reference reference) => new(RegistryError.ManifestUnknown, $"unknown manifest {reference}");
}
