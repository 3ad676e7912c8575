using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>
/// The path that a client means by one with doubled slashes, or with a slash too many at its end. As <c>registry:2</c> does, the server
/// redirects the client to it. The answer depends on the spelling of the path only, so it reveals nothing of what is stored.
/// </summary>
internal static class CleanPath
{
    /// <summary>The clean path; null where the path is clean, or where it means no route also without these slashes.</summary>
    /// <param name="path">Decoded.</param>
    /// <param name="routeOf">What a path asks for.</param>
    public static string? Of(string path, Func<string, RegistryRoute> routeOf)
    {
        // Slashes before a path alone need no redirect: the server takes "//v2/" for "/v2/".
        var start = path.Length - path.TrimStart('/').Length;
        var isClean = path.IndexOf("//", Math.Max(0, start - 1), StringComparison.Ordinal) < 0;
        if (isClean && !path.EndsWith('/'))
            return null;
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var clean = isClean ? path : $"/{string.Join('/', parts)}{(path.EndsWith('/') ? "/" : "")}";
        if (IsWhole(routeOf(clean)))
            return isClean ? null : clean;
        clean = $"/{string.Join('/', parts)}";
        return path.EndsWith('/') && IsWhole(routeOf(clean)) ? clean : null;
    }

    // "/v2/a/manifests/manifests/" has no reference; without its last slash it is the tag "manifests" of "a".
    private static bool IsWhole(RegistryRoute route) => route.Kind switch
    {
        RouteKind.Base or RouteKind.Catalog => true,
        RouteKind.Tags or RouteKind.BlobUpload => HasName(route),
        RouteKind.Manifest or RouteKind.Blob or RouteKind.Referrers or RouteKind.BlobUploadChunk => route.Last.Length > 0 && HasName(route),
        _ => false,
    };

    private static bool HasName(RegistryRoute route) => RepositoryName.TryParse(route.Name, out _);
}
