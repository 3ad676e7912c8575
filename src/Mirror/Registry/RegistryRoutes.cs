using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>Every route of the registry, in one table.</summary>
public sealed class RegistryRoutes(
    RepositoryResolver repositories, IReferenceStore references, UploadRoute uploads, ManifestRules rules, Locations locations,
    ReplicaSignature signature, Forwarding forwarding, UploadOwners holders, RegistryEvents events, MirrorOptions options)
{
    private static readonly byte[] Empty = "{}"u8.ToArray();

    /// <summary>Answers a request, or throws what it is answered with.</summary>
    /// <exception cref="RegistryException">The protocol's own errors.</exception>
    public async Task AnswerAsync(RegistryRequest request)
    {
        // An upload goes on where it was begun; if that is gone, here, where its bytes may be as well.
        if (request.Route.Kind is RouteKind.BlobUploadChunk && !signature.IsFromReplica(request.Http.Request)
            && holders.Elsewhere(request.Http.Request.Query, request.Route.Last) is { } holder && await forwarding.TryAsync(request.Http, holder))
            return;
        await RouteAsync(request);
    }

    private Task RouteAsync(RegistryRequest request) => (request.Route.Kind, Verb(request)) switch
    {
        (RouteKind.Base, "GET") => JsonBody.WriteAsync(request, Empty),
        (RouteKind.Catalog, "GET") => CatalogRoute.GetAsync(request, references, options.Catalog),
        (RouteKind.Tags, "GET") => TagsRoute.GetAsync(request, repositories, options.Tags),
        (RouteKind.Referrers, "GET") => ReferrersRoute.GetAsync(request, repositories),
        (RouteKind.Manifest, "GET") => request.IsHead ? ManifestRoute.HeadAsync(request, repositories, events) : ManifestRoute.GetAsync(request, repositories, events),
        (RouteKind.Blob, "GET") => request.IsHead ? BlobRoute.HeadAsync(request, repositories, events)
            : BlobRoute.GetAsync(request, repositories, events, redirects: !options.Storage.Redirect.Disable, forReplica: signature.IsFromReplica(request.Http.Request)),
        (RouteKind.BlobUploadChunk, "GET") => uploads.StatusAsync(request),

        (RouteKind.Manifest or RouteKind.Blob or RouteKind.BlobUpload or RouteKind.BlobUploadChunk, not "GET") when options.Storage.Maintenance.ReadOnly.Enabled =>
            throw new RegistryException(RegistryError.Unsupported, "the registry is read-only (storage.maintenance.readonly.enabled)"),
        (RouteKind.Manifest, "PUT") => ManifestRoute.PutAsync(request, repositories, rules, locations, events),
        (RouteKind.BlobUpload, "POST") => uploads.StartAsync(request),
        (RouteKind.BlobUploadChunk, "PATCH") => uploads.PatchAsync(request),
        (RouteKind.BlobUploadChunk, "PUT") => uploads.PutAsync(request),
        (RouteKind.BlobUploadChunk, "DELETE") => uploads.CancelAsync(request),

        (RouteKind.Manifest or RouteKind.Blob, "DELETE") when !options.Storage.Delete.Enabled =>
            throw new RegistryException(RegistryError.Unsupported, "nothing may be deleted here (storage.delete.enabled)"),
        (RouteKind.Manifest, "DELETE") => ManifestRoute.DeleteAsync(request, repositories, events),
        (RouteKind.Blob, "DELETE") => BlobRoute.DeleteAsync(request, repositories, events),

        // Load balancers ask for it.
        (RouteKind.Other, "GET") when request.Http.Request.Path == "/" => Task.CompletedTask,
        (RouteKind.Other, _) => throw new RegistryException(RegistryError.NotFound),
        _ => throw new RegistryException(RegistryError.Unsupported),
    };

    // Every GET answers HEAD as well.
    private static string Verb(RegistryRequest request) => request.IsHead ? "GET" : request.Http.Request.Method;
}
