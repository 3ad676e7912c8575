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
        SetBrowserProtection(headers);
        foreach (var (name, values) in http.Headers)
            headers[name] = values;
    }

    /// <summary>Lets no browser take an answer for a page or a script: clients and upstreams choose bodies and their types.</summary>
    public static void SetBrowserProtection(IHeaderDictionary headers)
    {
        headers.XContentTypeOptions = "nosniff";
        headers.ContentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'; sandbox";
    }

    /// <summary>Sets type, digest and ETag of a manifest or a blob. If the client has the content, it sets 304 and returns true.</summary>
    /// <param name="byDigest">Whether the client asked by digest, so that the answer never changes.</param>
    /// <exception cref="RegistryException">The client wants other content only (<c>If-Match</c>).</exception>
    public static bool Set(HttpContext http, string mediaType, Digest digest, bool byDigest)
    {
        var (headers, wanted) = (http.Response.Headers, http.Request.Headers.IfMatch);
        var etag = $"\"{digest}\"";
        if (wanted.Count > 0 && !Matches(wanted, etag, digest, strictly: true))
            throw new RegistryException(RegistryError.PreconditionFailed, $"the ETag is {etag}");
        headers["Docker-Content-Digest"] = digest.ToString();
        headers.ETag = etag;
        // no-transform: a proxy that compressed the content again would break its digest.
        headers.CacheControl = byDigest ? "max-age=31536000, no-transform" : "no-cache, no-transform";
        if (Matches(http.Request.Headers.IfNoneMatch, etag, digest, strictly: false))
        {
            http.Response.StatusCode = StatusCodes.Status304NotModified;
            return true;
        }
        // A manifest of an upstream may give any text as its type.
        headers.ContentType = HeaderText.IsValid(mediaType) ? mediaType : MediaTypes.OctetStream;
        return false;
    }

    /// <summary>What a request that changes a manifest requires of the manifest that is there before; null if it requires nothing. It gets
    /// the digest of that manifest, or null if there is none.</summary>
    /// <exception cref="RegistryException">Thrown by the result: the client wants the change only if other content is there
    /// (<c>If-Match</c>, <c>If-None-Match</c>; RFC 9110, 13.1).</exception>
    public static Action<Digest?>? Condition(HttpRequest request)
    {
        var (only, unless) = (request.Headers.IfMatch, request.Headers.IfNoneMatch);
        return only.Count == 0 && unless.Count == 0 ? null : current =>
        {
            var isMet = current is { } there
                ? (only.Count == 0 || Matches(only, $"\"{there}\"", there, strictly: true))
                    && !Matches(unless, $"\"{there}\"", there, strictly: false)
                : only.Count == 0;
            if (!isMet)
                throw new RegistryException(
                    RegistryError.PreconditionFailed, current is { } other ? $"the ETag is \"{other}\"" : "there is no such manifest");
        };
    }

    // Like registry:2, this accepts the digest without quotes. Strictly: a weak ETag (W/"...") matches nothing (RFC 9110, 8.8.3.2).
    private static bool Matches(Microsoft.Extensions.Primitives.StringValues asked, string etag, Digest digest, bool strictly) =>
        asked.Count > 0 && (asked == digest.ToString()
            || EntityTagHeaderValue.TryParseList(asked, out var tags)
                && tags.Any(tag => tag.Tag == etag && !(strictly && tag.IsWeak) || tag.Equals(EntityTagHeaderValue.Any)));
}
