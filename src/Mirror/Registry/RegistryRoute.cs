using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>
/// What a path asks for. A repository's name is in the middle of the path and contains slashes, which a router's templates cannot express.
/// So the path is taken apart from its end.
/// </summary>
/// <param name="Name">The repository as the client wrote it, not checked yet; empty where there is none.</param>
/// <param name="Last">The last part of the path: a reference, a digest or an upload's id, not checked yet.</param>
public readonly record struct RegistryRoute(RouteKind Kind, string Name, string Last)
{
    /// <summary>Takes a path apart; <see cref="RouteKind.Other"/> if it is no route of a registry.</summary>
    /// <param name="path">Decoded, without the configured prefix. Clients whose mirror address ends in a registry's name put that name
    /// before or after <c>/v2/</c>: <c>/ghcr.io/v2/owner/app/...</c> means <c>/v2/ghcr.io/owner/app/...</c>.</param>
    public static RegistryRoute Of(string path)
    {
        if (!path.StartsWith("/v2", StringComparison.Ordinal) && path.IndexOf("/v2/", StringComparison.Ordinal) is > 0 and var at)
        {
            var rest = path[(at + "/v2/".Length)..];
            return Of($"/v2{path[..at]}/{rest}") is { Name.Length: > 0 } route ? route
                : new(rest.Length == 0 ? RouteKind.Base : RouteKind.Other, "", "");
        }
        if (path is "/v2/" or "/v2")
            return new(RouteKind.Base, "", "");
        if (path is "/auth/token" or "/auth/token/")
            return new(RouteKind.Token, "", "");
        if (path is "/v2/_catalog")
            return new(RouteKind.Catalog, "", "");
        if (V1Route.PartOf(path) is { } part)
            return new(RouteKind.V1, "", part);
        if (!path.StartsWith("/v2/", StringComparison.Ordinal))
            return new(RouteKind.Other, "", "");
        if (Before(path, "/tags/list") is { } tags)
            return new(RouteKind.Tags, tags, "");
        if (Before(path, "/blobs/uploads") is { } start)
            return new(RouteKind.BlobUpload, start, "");

        var slash = path.LastIndexOf('/');
        var (before, last) = (path[..slash], path[(slash + 1)..]);
        return Before(before, "/blobs/uploads") is { } uploads
                ? new(last.Length == 0 ? RouteKind.BlobUpload : RouteKind.BlobUploadChunk, uploads, last)
            : Before(before, "/manifests") is { } manifests ? new(RouteKind.Manifest, manifests, last)
            : Before(before, "/blobs") is { } blobs ? new(RouteKind.Blob, blobs, last)
            : Before(before, "/referrers") is { } referrers ? new(RouteKind.Referrers, referrers, last)
            : new(RouteKind.Other, "", "");
    }

    // The name between /v2/ and the noun that ends the path.
    private static string? Before(string path, string noun) =>
        path.EndsWith(noun, StringComparison.Ordinal) && path.Length > "/v2/".Length + noun.Length
            ? path["/v2/".Length..^noun.Length]
            : null;
}
