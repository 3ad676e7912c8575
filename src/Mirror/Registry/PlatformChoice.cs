using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>
/// Clients from before multi-platform images ask for a tag and cannot take an index: they get its linux/amd64 manifest, as registries have
/// always done for them. By digest nothing is ever converted.
/// </summary>
internal static class PlatformChoice
{
    /// <summary>The child to send instead; null where the client takes what there is, or there is no such child.</summary>
    public static Digest? Needed(StringValues accept, Manifest manifest)
    {
        // No Accept means anything (RFC 9110, 12.5.1); most clients list the index types outright.
        if (!MediaTypes.IsIndex(manifest.Descriptor.MediaType) || accept.Count == 0 || accept.ToString().Contains(manifest.Descriptor.MediaType, StringComparison.OrdinalIgnoreCase))
            return null;
        if (!MediaTypeHeaderValue.TryParseList(accept, out var types) || types.Any(type => type.MatchesAllTypes || type.MatchesMediaType(manifest.Descriptor.MediaType)))
            return null;
        return ManifestDocument.Read(manifest.Bytes.Span)?.Manifests
            .FirstOrDefault(child => child.Platform is { Os: "linux", Architecture: "amd64" })?.Digest;
    }
}
