using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary><c>/v2/&lt;name&gt;/manifests/&lt;tag or digest&gt;</c> (OCI distribution-spec 1.1.1, "Pulling manifests", "Pushing Manifests", "Deleting Manifests")</summary>
internal static class ManifestRoute
{
    public static async Task HeadAsync(RegistryRequest request, RepositoryResolver repositories, RegistryEvents events)
    {
        var reference = request.Reference;
        var repository = repositories[request.Name];
        var answer = await repository.HeadManifestAsync(reference, request.Aborted) ?? throw Unknown(reference);
        request.SetCacheStatus(answer);
        if (!ContentHeaders.Set(request.Http, answer.Value.MediaType, answer.Value.Digest, !reference.IsTag(out _, out _)))
            request.Http.Response.ContentLength = answer.Value.Size;
        events.Pulled(request, repository.Name, answer.Value, Tag(reference), default);
    }

    public static async Task GetAsync(RegistryRequest request, RepositoryResolver repositories, RegistryEvents events)
    {
        var reference = request.Reference;
        var repository = repositories[request.Name];
        var answer = await repository.GetManifestAsync(reference, request.Aborted) ?? throw Unknown(reference);
        if (reference.IsTag(out _, out _) && PlatformChoice.Needed(request.Http.Request.Headers.Accept, answer.Value) is { } child)
            answer = await repository.GetManifestAsync(child, request.Aborted) ?? answer;
        request.SetCacheStatus(answer);
        await SendAsync(request, answer.Value, !reference.IsTag(out _, out _));
        events.Pulled(request, repository.Name, answer.Value.Descriptor, Tag(reference), answer.Value.Bytes);
    }

    /// <summary>
    /// Takes a manifest as it is. It is answered for when it, what it is listed under, and its tags would survive a power cut.
    /// </summary>
    public static async Task PutAsync(RegistryRequest request, RepositoryResolver repositories, ManifestRules rules, Locations locations, RegistryEvents events)
    {
        // 1. Where to, and under which names.
        var reference = request.Reference;
        var repository = repositories.Hosted(request.Name) ?? throw Ownership.Mirrored(request.Name);
        var tags = Tags(request, reference);

        // 2. The bytes, and that they are what they are called.
        if (await RequestBody.ReadAsync(request, Manifest.MaxBytes) is not { } bytes)
        {
            // What is left of the body is not read.
            request.Http.Response.Headers.Connection = "close";
            throw new RegistryException(RegistryError.ManifestTooLarge, $"a manifest has {Manifest.MaxBytes} bytes at most");
        }
        var digest = reference.IsTag(out _, out var named) ? Digest.Of(bytes) : Digest.Of(bytes, named.Algorithm);
        if (!reference.IsTag(out _, out _) && digest != named)
            throw new RegistryException(RegistryError.DigestInvalid, $"the bytes are {digest}");
        if (!ManifestDocument.TryParse(bytes, out var document, out var problem))
            throw new RegistryException(RegistryError.ManifestInvalid, problem);
        var type = ManifestRules.TypeOf(request.Http.Request.ContentType ?? "", document);

        // 3. Stored, if what it needs is there.
        var manifest = new Manifest(new Descriptor(type, digest, bytes.Length), bytes);
        var missing = await repository.PutManifestAsync(
            manifest, document, rules.RequiredBlobs(document), rules.RequiredChildren(document), tags, request.Aborted);
        if (missing is { } needed)
            throw new RegistryException(RegistryError.ManifestBlobUnknown, $"{repository.Name} has no {needed}");
        foreach (var tag in tags.DefaultIfEmpty<string?>(null))
            events.Pushed(request, repository.Name, manifest.Descriptor, tag, bytes);

        var response = request.Http.Response;
        response.StatusCode = StatusCodes.Status201Created;
        response.Headers.Location = locations.Manifest(request.Http.Request, repository.Name, digest);
        response.Headers["Docker-Content-Digest"] = digest.ToString();
        if (document.Subject is { } subject)
            response.Headers["OCI-Subject"] = subject.ToString();
        if (!reference.IsTag(out _, out _) && tags.Count > 0)
            response.Headers["OCI-Tag"] = new([.. tags]);
        response.ContentLength = 0;
    }

    /// <summary>Takes a tag out, or a manifest with every tag that names it. Both are gone at once.</summary>
    public static async Task DeleteAsync(RegistryRequest request, RepositoryResolver repositories, RegistryEvents events)
    {
        var reference = request.Reference;
        var repository = repositories[request.Name];
        if (!await (reference.IsTag(out var tag, out var digest) ? repository.DeleteTagAsync(tag, request.Aborted) : repository.DeleteManifestAsync(digest, request.Aborted)))
            throw Unknown(reference);
        if (tag is not null)
            events.Deleted(request, repository.Name, tag);
        else
            events.Deleted(request, repository.Name, digest);
        request.Http.Response.StatusCode = StatusCodes.Status202Accepted;
        request.Http.Response.ContentLength = 0;
    }

    private static string? Tag(Reference reference) => reference.IsTag(out var tag, out _) ? tag : null;

    // The one in the path, or any number behind a digest.
    private static List<string> Tags(RegistryRequest request, Reference reference)
    {
        if (reference.IsTag(out var only, out _))
            return [only];
        List<string> tags = [];
        foreach (var tag in request.Http.Request.Query["tag"])
        {
            if (!Reference.IsTagName(tag))
                throw new RegistryException(RegistryError.TagInvalid, "a tag is a word character and up to 127 of word characters, '.' and '-'");
            if (!tags.Contains(tag))
                tags.Add(tag);
        }
        return tags;
    }

    private static async Task SendAsync(RegistryRequest request, Manifest manifest, bool byDigest)
    {
        if (ContentHeaders.Set(request.Http, manifest.Descriptor.MediaType, manifest.Descriptor.Digest, byDigest))
            return;
        request.Http.Response.ContentLength = manifest.Bytes.Length;
        await request.Http.Response.BodyWriter.WriteAsync(manifest.Bytes, request.Aborted);
        request.Written = manifest.Bytes.Length;
    }

    private static RegistryException Unknown(Reference reference) => new(RegistryError.ManifestUnknown, $"unknown manifest {reference}");
}
