using Microsoft.Net.Http.Headers;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>The headers that answers have in common.</summary>
internal static class ContentHeaders
{
    /// <summary>Sets the headers of every answer, those of <c>http.headers</c> among them.</summary>
    public static void SetCommon(IHeaderDictionary headers, HttpOptions http)
    {
        headers["Docker-Distribution-Api-Version"] = "registry/2.0";
        // Clients and upstreams choose bodies and their types. A browser must take none of them for a page or a script.
        headers.XContentTypeOptions = "nosniff";
        headers.ContentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'; sandbox";
        foreach (var (name, values) in http.Headers)
            headers[name] = values;
    }

    /// <summary>Sets type, digest and ETag of a manifest or a blob. If the client has the content, it sets 304 and returns true.</summary>
    /// <param name="byDigest">Whether the client asked by digest, so that the answer never changes.</param>
    public static bool Set(HttpContext http, string mediaType, Digest digest, bool byDigest)
    {
        var headers = http.Response.Headers;
        var etag = $"\"{digest}\"";
        headers["Docker-Content-Digest"] = digest.ToString();
        headers.ETag = etag;
        // no-transform: a proxy that compressed the content again would break its digest.
        headers.CacheControl = byDigest ? "max-age=31536000, no-transform" : "no-cache, no-transform";
        if (Matches(http.Request.Headers.IfNoneMatch, etag, digest))
        {
            http.Response.StatusCode = StatusCodes.Status304NotModified;
            return true;
        }
        // A manifest of an upstream may give any text as its type.
        headers.ContentType = HeaderText.IsValid(mediaType) ? mediaType : MediaTypes.OctetStream;
        return false;
    }

    // Like registry:2, this accepts the digest without quotes.
    private static bool Matches(Microsoft.Extensions.Primitives.StringValues asked, string etag, Digest digest) =>
        asked.Count > 0 && (asked == digest.ToString()
            || EntityTagHeaderValue.TryParseList(asked, out var tags)
                && tags.Any(tag => tag.Tag == etag || tag.Equals(EntityTagHeaderValue.Any)));
}
