using System.Text.Json;
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
        using var index = JsonDocument.Parse(manifest.Bytes);
        if (!index.RootElement.TryGetProperty("manifests", out var children) || children.ValueKind != JsonValueKind.Array)
            return null;
        foreach (var child in children.EnumerateArray())
            if (Property(child, "platform") is { } platform && Text(platform, "os") == "linux" && Text(platform, "architecture") == "amd64"
                && Digest.TryParse(Text(child, "digest"), out var digest))
                return digest;
        return null;
    }

    private static JsonElement? Property(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object ? value : null;

    private static string? Text(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
