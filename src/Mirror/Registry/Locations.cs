using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>
/// The URLs that clients are sent on to. Absolute, under <c>http.host</c> or else the host that the client, or a proxy in front of this one, says
/// it asked; with <c>http.relativeurls</c> the path alone.
/// </summary>
public sealed class Locations(HttpOptions http, UploadOwners holders)
{
    private readonly string _prefix = http.Prefix.TrimEnd('/');

    public string Blob(HttpRequest request, RepositoryName name, Digest digest) => Of(request, $"/v2/{name}/blobs/{digest}");

    public string Manifest(HttpRequest request, RepositoryName name, Digest digest) => Of(request, $"/v2/{name}/manifests/{digest}");

    public string Upload(HttpRequest request, RepositoryName name, Guid id) => Of(request, $"/v2/{name}/blobs/uploads/{id}{holders.Query(id)}");

    private string Of(HttpRequest request, string path)
    {
        if (http.RelativeUrls)
            return _prefix + path;
        // What http.host says has the prefix in it.
        if (http.Host is { } host)
            return host + path;
        return Asked(request) is { } asked ? asked + _prefix + path : _prefix + path;
    }

    // RFC 7239 goes before the headers that were there before it, as in registry:2. What is no host and no scheme is not passed on.
    private static string? Asked(HttpRequest request)
    {
        var (scheme, host) = (request.Scheme, request.Host.Value);
        if (request.Headers["Forwarded"] is { Count: > 0 } forwarded)
        {
            foreach (var pair in forwarded.ToString().Split(',')[0].Split(';', StringSplitOptions.TrimEntries))
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
        return scheme is "http" or "https" && Uri.TryCreate($"{scheme}://{host}", UriKind.Absolute, out var url) && url is { PathAndQuery: "/", Fragment: "", UserInfo: "" }
            ? $"{scheme}://{url.Authority}"
            : null;
    }

    // Each proxy adds itself behind a comma; the first is the one that the client asked.
    private static string First(string list) => list.Split(',')[0].Trim();
}
