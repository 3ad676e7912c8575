using Mirror.Configuration;

namespace Mirror.Registry;

/// <summary>Finds requests that a browser sends for a page of another site, with a login that the browser remembers.</summary>
public static class OtherSites
{
    /// <summary>Whether the browser says so: Fetch Metadata (W3C), "Sec-Fetch-Site"; over plain HTTP browsers send Origin alone.</summary>
    /// <param name="http">Names the registry's own address (<c>http.host</c>).</param>
    public static bool IsFromOne(HttpRequest request, HttpOptions http) =>
        request.Headers["Sec-Fetch-Site"] is [{ Length: > 0 } site, ..] && site is not ("same-origin" or "none")
        || request.Headers.Origin is [{ Length: > 0 } origin, ..] && !IsOwn(request, origin, http);

    private static bool IsOwn(HttpRequest request, string origin, HttpOptions http) =>
        Uri.TryCreate(origin, UriKind.Absolute, out var url)
        && (url.Authority.Equals(Authority($"{request.Scheme}://{request.Host.Value}"), StringComparison.OrdinalIgnoreCase)
            || url.Authority.Equals(Authority(http.Host), StringComparison.OrdinalIgnoreCase)
            || url.Authority.Equals(Authority(TrustedProxies.AskedOrigin(request.Headers)), StringComparison.OrdinalIgnoreCase));

    private static string? Authority(string? url) => Uri.TryCreate(url, UriKind.Absolute, out var known) ? known.Authority : null;
}
