using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>
/// What a path asks for. A repository's name stands in the middle of the path and has slashes of its own, which a router's templates
/// cannot say, so the path is taken apart from its end.
/// </summary>
/// <param name="Name">The repository as written, not checked yet; empty where there is none.</param>
/// <param name="Last">What follows: a reference, a digest or an upload's id, as written.</param>
public readonly record struct RegistryRoute(RouteKind Kind, string Name, string Last)
{
    /// <summary>Takes a path apart; <see cref="RouteKind.Other"/> where it is no route of a registry.</summary>
    /// <param name="path">Decoded, without the configured prefix. A mirror's address may have a registry's name as its path, and clients
    /// put that before <c>/v2/</c> or behind it: <c>/ghcr.io/v2/owner/app/...</c> is <c>/v2/ghcr.io/owner/app/...</c>.</param>
    public static RegistryRoute Of(string path)
    {
        if (!path.StartsWith("/v2", StringComparison.Ordinal) && path.IndexOf("/v2/", StringComparison.Ordinal) is > 0 and var at)
            return Of($"/v2{path[..at]}/{path[(at + "/v2/".Length)..]}") is { Kind: not (RouteKind.Base or RouteKind.Catalog or RouteKind.Other) } route ? route
                : at + "/v2/".Length == path.Length ? new(RouteKind.Base, "", "") : new(RouteKind.Other, "", "");
        if (path is "/v2/" or "/v2")
            return new(RouteKind.Base, "", "");
        if (path is "/v2/_catalog")
            return new(RouteKind.Catalog, "", "");
        if (!path.StartsWith("/v2/", StringComparison.Ordinal))
            return new(RouteKind.Other, "", "");
        if (path.EndsWith("/tags/list", StringComparison.Ordinal) && path.Length > "/v2/".Length + "/tags/list".Length)
            return new(RouteKind.Tags, path["/v2/".Length..^"/tags/list".Length], "");

        var slash = path.LastIndexOf('/');
        var (before, last) = (path[..slash], path[(slash + 1)..]);
        return Under(before, "/blobs/uploads") is { } uploads ? new(last.Length == 0 ? RouteKind.BlobUpload : RouteKind.BlobUploadChunk, uploads, last)
            : path.EndsWith("/blobs/uploads", StringComparison.Ordinal) && Under(path, "/blobs/uploads") is { } start ? new(RouteKind.BlobUpload, start, "")
            : Under(before, "/manifests") is { } manifests ? new(RouteKind.Manifest, manifests, last)
            : Under(before, "/blobs") is { } blobs ? new(RouteKind.Blob, blobs, last)
            : Under(before, "/referrers") is { } referrers ? new(RouteKind.Referrers, referrers, last)
            : new(RouteKind.Other, "", "");
    }

    private static string? Under(string path, string noun) =>
        path.EndsWith(noun, StringComparison.Ordinal) && path.Length > "/v2/".Length + noun.Length ? path["/v2/".Length..^noun.Length] : null;
}
