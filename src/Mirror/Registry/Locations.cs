using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>
/// The URLs in <c>Location</c> headers and events. They begin with <c>http.host</c>, or else with the scheme and host that a trusted proxy
/// reports (<see cref="TrustedProxies"/>). Otherwise a <c>Location</c> is a path alone: the server cannot know by which scheme and host the
/// client reaches it, and a wrong scheme would end a push. With <c>http.relativeurls</c> every <c>Location</c> is a path.
/// </summary>
public sealed class Locations(HttpOptions http, UploadOwners owners)
{
    private readonly string _prefix = http.Prefix.TrimEnd('/');

    /// <summary>The URL before <c>/v2/</c> in an event or a challenge, which need a whole URL; without a slash at its end.</summary>
    public string PublicBase(HttpRequest request) =>
        Known(request) ?? (request.Host.HasValue ? $"{request.Scheme}://{request.Host.Value}{_prefix}" : _prefix);

    public string Blob(HttpRequest request, RepositoryName name, Digest digest) => $"{Base(request)}/v2/{name}/blobs/{digest}";

    public string Manifest(HttpRequest request, RepositoryName name, Digest digest) => $"{Base(request)}/v2/{name}/manifests/{digest}";

    public string Upload(HttpRequest request, RepositoryName name, Guid id) =>
        $"{Base(request)}/v2/{name}/blobs/uploads/{id}{owners.Query(id)}";

    private string Base(HttpRequest request) => http.RelativeUrls ? _prefix : Known(request) ?? _prefix;

    // http.host contains the prefix.
    private string? Known(HttpRequest request) =>
        http.Host ?? (TrustedProxies.AskedOrigin(request.Headers) is { } origin ? origin + _prefix : null);
}
