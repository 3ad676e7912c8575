using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.Registry;

/// <summary><c>/v2/&lt;name&gt;/manifests/&lt;tag or digest&gt;</c></summary>
internal static class ManifestRoute
{
    public static async Task HeadAsync(RegistryRequest request, Repositories repositories)
    {
        var reference = request.Reference;
        var answer = await repositories[request.Name].HeadManifestAsync(reference, request.Aborted) ?? throw Unknown(reference);
        request.Came(answer);
        if (!ContentHeaders.Set(request.Http, answer.Value.MediaType, answer.Value.Digest, !reference.IsTag(out _, out _)))
            request.Http.Response.ContentLength = answer.Value.Size;
    }

    public static async Task GetAsync(RegistryRequest request, Repositories repositories)
    {
        var reference = request.Reference;
        var repository = repositories[request.Name];
        var answer = await repository.GetManifestAsync(reference, request.Aborted) ?? throw Unknown(reference);
        if (reference.IsTag(out _, out _) && PlatformChoice.Needed(request.Http.Request.Headers.Accept, answer.Value) is { } child)
            answer = await repository.GetManifestAsync(child, request.Aborted) ?? answer;
        request.Came(answer);
        await SendAsync(request, answer.Value, !reference.IsTag(out _, out _));
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
