using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>Every route of the registry, in one table.</summary>
public sealed class RegistryRoutes(Repositories repositories, IReferenceStore references, StorageOptions storage)
{
    private static readonly byte[] Empty = "{}"u8.ToArray();

    /// <summary>Answers a request, or throws what it is answered with.</summary>
    /// <exception cref="RegistryException">The protocol's own errors.</exception>
    public Task AnswerAsync(RegistryRequest request) => (request.Route.Handler, Verb(request)) switch
    {
        (Handler.Base, "GET") => JsonBody.WriteAsync(request, Empty),
        (Handler.Catalog, "GET") => CatalogRoute.GetAsync(request, references),
        (Handler.Tags, "GET") => TagsRoute.GetAsync(request, repositories),
        (Handler.Manifest, "GET") => request.IsHead ? ManifestRoute.HeadAsync(request, repositories) : ManifestRoute.GetAsync(request, repositories),
        (Handler.Blob, "GET") => request.IsHead ? BlobRoute.HeadAsync(request, repositories) : BlobRoute.GetAsync(request, repositories, redirects: !storage.Redirect.Disable),
        // Load balancers ask for it.
        (Handler.Other, "GET") when request.Http.Request.Path == "/" => Task.CompletedTask,
        (Handler.Other, _) => throw new RegistryException(RegistryError.NotFound),
        _ => throw new RegistryException(RegistryError.Unsupported),
    };

    // Every GET answers HEAD as well.
    private static string Verb(RegistryRequest request) => request.IsHead ? "GET" : request.Http.Request.Method;
}
