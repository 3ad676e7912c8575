using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.Registry;

/// <summary>
/// Clients that are older than multi-platform images cannot read an index. If they ask for a tag that names one, they get its linux/amd64
/// manifest, as from other registries. An answer to a request by digest is never replaced.
/// </summary>
internal static class PlatformChoice
{
    /// <summary>The child to send instead of an index; null if the client accepts the index, or it has no such child.</summary>
    public static Digest? Needed(StringValues accept, Manifest manifest)
    {
        if (Accepts(accept, manifest.Descriptor.MediaType))
            return null;
        return LinuxAmd64(manifest);
    }

    /// <summary>The child of an index that is for clients that read no index; null if it has none.</summary>
    public static Digest? LinuxAmd64(Manifest index) => ManifestDocument.Read(index.Bytes.Span)?.Manifests
        .FirstOrDefault(child => child.Platform is { Os: "linux", Architecture: "amd64" })?.Digest;

    /// <summary>The child of an index. It is the index itself if upstream does not have the child, or if upstream is unavailable and the
    /// child is not stored: then the index is marked stale.</summary>
    public static async ValueTask<Answer<T>> OrIndexAsync<T>(ValueTask<Answer<T>?> child, Answer<T> index)
    {
        try
        {
            return await child ?? index;
        }
        catch (UpstreamUnavailableException failure)
        {
            return index with { CacheStatus = CacheStatus.Stale, Stale = index.Stale ?? failure.Message };
        }
    }

    /// <summary>Whether the client can read a manifest of this type, as far as a choice depends on it: true for all but an index.</summary>
    public static bool Accepts(StringValues accept, string type)
    {
        // A request without Accept accepts everything (RFC 9110, 12.5.1). Most clients name the index types.
        if (!MediaTypes.IsIndex(type) || accept.Count == 0 || accept.ToString().Contains(type, StringComparison.OrdinalIgnoreCase))
            return true;
        return !MediaTypeHeaderValue.TryParseList(accept, out var types) || types.Any(a => a.MatchesAllTypes || a.MatchesMediaType(type));
    }
}
