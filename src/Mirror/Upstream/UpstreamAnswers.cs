using System.Diagnostics.CodeAnalysis;
using System.Net;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>What the status and the headers of an upstream's answer mean, for answers as registries and stores really send them.</summary>
internal static class UpstreamAnswers
{
    /// <summary>Whether a GET may succeed where this HEAD failed.</summary>
    public static bool MayDifferForGet(HttpResponseMessage head) =>
        (int)head.StatusCode is (>= 400 and < 500 and not (408 or 429)) or 500 or 501;

    /// <summary>Whether the answer has content, or a part of it, and is no page for people, such as that of a login.</summary>
    /// <param name="expected">The length in bytes that the content should have. With this length it is content, whatever its label
    /// says.</param>
    public static bool IsContent(HttpResponseMessage response, long? expected) =>
        response.StatusCode is HttpStatusCode.OK or HttpStatusCode.PartialContent
        && (!IsWebPage(response) || expected is not null && LengthOf(response) == expected);

    /// <summary>The length in bytes of the whole content; null if the answer does not tell it.</summary>
    public static long? LengthOf(HttpResponseMessage response) =>
        response.Content.Headers.ContentRange?.Length ?? response.Content.Headers.ContentLength;

    /// <summary>
    /// Whether the answer to a request for referrers shows that upstream does not have the referrers API. Each of these was seen from
    /// registries that do not have it; some send a page for people with status 200.
    /// </summary>
    public static bool LacksReferrers(HttpResponseMessage response) =>
        (int)response.StatusCode is 400 or 404 or 405 or 406 or 410 or 501 || response.IsSuccessStatusCode && IsWebPage(response);

    /// <summary>Whether the answer is labelled as a page for people, which content hardly ever is.</summary>
    public static bool IsWebPage(HttpResponseMessage response) => response.Content.Headers.ContentType?.MediaType is "text/html";

    /// <summary>Whether a name in the header <c>Content-Encoding</c> says that the body is not compressed.</summary>
    public static bool IsIdentity(string coding) => coding.Equals("identity", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// The announced length in bytes; null where it cannot be correct. Only the content without a byte has length 0, and some registries
    /// say so of all content.
    /// </summary>
    public static long? Believable(long? length, Digest digest) =>
        length is 0 && digest != Digest.Of([], digest.Algorithm) ? null : length;

    /// <summary>
    /// Whether a request without a range may succeed where this answer to a request for a range is of no use: it refuses the range, or has
    /// another one. Each of these errors was seen from registries, CDNs and proxies that do not support <c>Range</c>. An error that also
    /// has another meaning, such as a limit, says nothing of the range.
    /// </summary>
    public static bool MayDifferForWhole(HttpResponseMessage response, long from) => (int)response.StatusCode switch
    {
        206 => response.Content.Headers.ContentRange?.From != from,
        401 or 403 or 404 or 408 or 410 or 429 => false,
        (>= 400 and < 500) or 501 => true,
        _ => false,
    };

    /// <summary>Whether an answer to a request for a range can have no other reason than the range.</summary>
    public static bool RefusesRanges(HttpResponseMessage response) => (int)response.StatusCode is 206 or 405 or 416 or 501;

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
