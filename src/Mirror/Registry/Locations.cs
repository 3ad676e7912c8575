using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>
/// The URLs in <c>Location</c> headers and events. They begin with <c>http.host</c>, or else with the scheme and host that the client
/// asked, through a proxy or directly. With <c>http.relativeurls</c> they are paths.
/// </summary>
public sealed class Locations(HttpOptions http, UploadOwners owners)
{
    private readonly string _prefix = http.Prefix.TrimEnd('/');

    /// <summary>What precedes <c>/v2/</c>; without a slash at its end.</summary>
    public string BaseOf(HttpRequest request) =>
        http.RelativeUrls ? _prefix
        // http.host contains the prefix.
        : http.Host ?? Asked(request) + _prefix;

    /// <summary>What precedes <c>/v2/</c> for a client that needs a whole URL; without a slash at its end.</summary>
    public string PublicBaseOf(HttpRequest request) => http.Host ?? Asked(request) + _prefix;

    public string Blob(HttpRequest request, RepositoryName name, Digest digest) => $"{BaseOf(request)}/v2/{name}/blobs/{digest}";

    public string Manifest(HttpRequest request, RepositoryName name, Digest digest) => $"{BaseOf(request)}/v2/{name}/manifests/{digest}";

    public string Upload(HttpRequest request, RepositoryName name, Guid id) =>
        $"{BaseOf(request)}/v2/{name}/blobs/uploads/{id}{owners.Query(id)}";

    // As in registry:2, Forwarded (RFC 7239) precedes the older X-Forwarded headers. Null where the result is not a scheme and a host.
    private static string? Asked(HttpRequest request)
    {
        var (scheme, host) = (request.Scheme, request.Host.Value);
        if (request.Headers["Forwarded"] is { Count: > 0 } forwarded)
        {
            foreach (var pair in First(forwarded.ToString()).Split(';', StringSplitOptions.TrimEntries))
            {
                var value = pair[(pair.IndexOf('=', StringComparison.Ordinal) + 1)..].Trim('"');
                if (pair.StartsWith("proto=", StringComparison.OrdinalIgnoreCase))
                    scheme = value;
                else if (pair.StartsWith("host=", StringComparison.OrdinalIgnoreCase))
                    host = value;
            }
        }
        else
        {
            if (request.Headers["X-Forwarded-Proto"] is { Count: > 0 } proto)
                scheme = First(proto.ToString());
            if (request.Headers["X-Forwarded-Host"] is { Count: > 0 } hosts)
                host = First(hosts.ToString());
        }
        return scheme is "http" or "https" && Uri.TryCreate($"{scheme}://{host}", UriKind.Absolute, out var url)
            && url is { PathAndQuery: "/", Fragment: "", UserInfo: "" }
            ? $"{scheme}://{url.Authority}"
            : null;
    }

    // Each proxy appends its entry after a comma. The first entry tells what the client asked.
    private static string First(string list) => list.Split(',')[0].Trim();
}
