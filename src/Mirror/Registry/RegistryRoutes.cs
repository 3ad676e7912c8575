using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>Every route of the registry, in one table.</summary>
public sealed class RegistryRoutes(
    Repositories repositories, IReferenceStore references, UploadRoute uploads, ManifestRules rules, Locations locations,
    FleetSecret secret, Forwarding forwarding, UploadHolders holders, RegistryEvents events, MirrorOptions options)
{
    private static readonly byte[] Empty = "{}"u8.ToArray();

    /// <summary>Answers a request, or throws what it is answered with.</summary>
    /// <exception cref="RegistryException">The protocol's own errors.</exception>
    public async Task AnswerAsync(RegistryRequest request)
    {
        // An upload goes on where it was begun; if that is gone, here, where its bytes may be as well.
        if (request.Route.Handler is Handler.BlobUploadChunk && !secret.IsProved(request.Http.Request)
            && holders.Elsewhere(request.Http.Request.Query, request.Route.Last) is { } holder && await forwarding.TryAsync(request.Http, holder))
            return;
        await RouteAsync(request);
    }

    private Task RouteAsync(RegistryRequest request) => (request.Route.Handler, Verb(request)) switch
    {
        (Handler.Base, "GET") => JsonBody.WriteAsync(request, Empty),
        (Handler.Catalog, "GET") => CatalogRoute.GetAsync(request, references, options.Catalog),
        (Handler.Tags, "GET") => TagsRoute.GetAsync(request, repositories, options.Tags),
        (Handler.Referrers, "GET") => ReferrersRoute.GetAsync(request, repositories),
        (Handler.Manifest, "GET") => request.IsHead ? ManifestRoute.HeadAsync(request, repositories, events) : ManifestRoute.GetAsync(request, repositories, events),
        (Handler.Blob, "GET") => request.IsHead ? BlobRoute.HeadAsync(request, repositories, events)
            : BlobRoute.GetAsync(request, repositories, events, redirects: !options.Storage.Redirect.Disable, forReplica: secret.IsProved(request.Http.Request)),
        (Handler.BlobUploadChunk, "GET") => uploads.StatusAsync(request),

        (Handler.Manifest or Handler.Blob or Handler.BlobUpload or Handler.BlobUploadChunk, not "GET") when options.Storage.Maintenance.ReadOnly.Enabled =>
            throw new RegistryException(RegistryError.Unsupported, "the registry is read-only (storage.maintenance.readonly.enabled)"),
        (Handler.Manifest, "PUT") => ManifestRoute.PutAsync(request, repositories, rules, locations, events),
        (Handler.BlobUpload, "POST") => uploads.StartAsync(request),
        (Handler.BlobUploadChunk, "PATCH") => uploads.PatchAsync(request),
        (Handler.BlobUploadChunk, "PUT") => uploads.PutAsync(request),
        (Handler.BlobUploadChunk, "DELETE") => uploads.CancelAsync(request),

        (Handler.Manifest or Handler.Blob, "DELETE") when !options.Storage.Delete.Enabled =>
            throw new RegistryException(RegistryError.Unsupported, "nothing may be deleted here (storage.delete.enabled)"),
        (Handler.Manifest, "DELETE") => ManifestRoute.DeleteAsync(request, repositories, events),
        (Handler.Blob, "DELETE") => BlobRoute.DeleteAsync(request, repositories, events),

        // Load balancers ask for it.
        (Handler.Other, "GET") when request.Http.Request.Path == "/" => Task.CompletedTask,
        (Handler.Other, _) => throw new RegistryException(RegistryError.NotFound),
        _ => throw new RegistryException(RegistryError.Unsupported),
    };

    // Every GET answers HEAD as well.
    private static string Verb(RegistryRequest request) => request.IsHead ? "GET" : request.Http.Request.Method;
}
