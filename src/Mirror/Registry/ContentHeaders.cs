using Microsoft.Net.Http.Headers;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>The headers that manifests and blobs have in common.</summary>
internal static class ContentHeaders
{
    /// <summary>Sets type, digest and ETag; true where the client has this content already, and 304 was set instead.</summary>
    public static bool Set(HttpContext http, string mediaType, Digest digest, bool byDigest)
    {
        var headers = http.Response.Headers;
        var etag = $"\"{digest}\"";
        headers["Docker-Content-Digest"] = digest.ToString();
        headers.ETag = etag;
        // Content never changes; what a tag names may. Nobody on the way may re-encode what a digest names.
        headers.CacheControl = byDigest ? "max-age=31536000, no-transform" : "no-cache, no-transform";
        if (Matches(http.Request.Headers.IfNoneMatch, etag, digest))
        {
            http.Response.StatusCode = StatusCodes.Status304NotModified;
            return true;
        }
        headers.ContentType = mediaType;
        return false;
    }

    // registry:2 takes the digest without quotes, too.
    private static bool Matches(Microsoft.Extensions.Primitives.StringValues asked, string etag, Digest digest) =>
        asked.Count > 0 && (asked == digest.ToString()
            || EntityTagHeaderValue.TryParseList(asked, out var tags) && tags.Any(tag => tag.Tag == etag || tag.Equals(EntityTagHeaderValue.Any)));
}
