using System.Diagnostics.CodeAnalysis;
using System.Net;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>What the status and the headers of an upstream's answer mean, for answers as registries and stores really send them.</summary>
internal static class UpstreamAnswers
{
    /// <summary>Whether a GET may succeed where this HEAD failed.</summary>
    public static bool MayDifferForGet(HttpResponseMessage head) => (int)head.StatusCode is 400 or 401 or 403 or 404 or 405 or 500 or 501;

    /// <summary>
    /// The announced length in bytes; null where it cannot be correct. Only the content without a byte has length 0, and some registries
    /// say so of all content.
    /// </summary>
    public static long? Believable(long? length, Digest digest) =>
        length is 0 && digest != Digest.Of([], digest.Algorithm) ? null : length;

    /// <summary>Whether the answer to a request for a range begins at that offset, or has the whole content.</summary>
    public static bool HasRange(HttpResponseMessage response, long from) => response.StatusCode switch
    {
        HttpStatusCode.RequestedRangeNotSatisfiable => false,
        HttpStatusCode.PartialContent => response.Content.Headers.ContentRange?.From == from,
        _ => true,
    };

    /// <summary>
    /// Whether the 404 of another host is upstream's answer. For a manifest or a list it is, because registries redirect these to
    /// registries. For a blob it is if it has an error body of a registry or a store.
    /// </summary>
    public static bool IsRegistryError(HttpResponseMessage response, string what) =>
        !what.StartsWith("blobs/", StringComparison.Ordinal)
        || response.Content.Headers.ContentType?.MediaType is "application/json" or "application/xml";

    /// <summary>The digest of a manifest: the requested one, or else the one in the header; null if the header has none.</summary>
    public static Digest? Described(HttpResponseMessage response, Reference reference)
    {
        if (!reference.IsTag(out _, out var named))
            return named;
        return response.Headers.TryGetValues("Docker-Content-Digest", out var values) && Digest.TryParse(values.First(), out var digest)
            ? digest
            : null;
    }

    /// <summary>Whether a media type is that of a manifest or of an index.</summary>
    public static bool IsManifestType([NotNullWhen(true)] string? type) => type is { Length: <= 255 }
        && (type.Contains("manifest", StringComparison.Ordinal) || type.Contains("index", StringComparison.Ordinal));
}
