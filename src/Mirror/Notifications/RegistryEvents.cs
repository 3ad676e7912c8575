using System.Net;
using System.Text.Json;
using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Storage;

namespace Mirror.Notifications;

/// <summary>
/// Tells the configured endpoints what happened here, once it has. A call writes the event to each endpoint's queue and returns; without endpoints
/// it costs a comparison.
/// </summary>
public sealed class RegistryEvents
{
    private readonly EventEndpoint[] _endpoints;
    private readonly bool _includeReferences;
    private readonly Locations _locations;
    private readonly TimeProvider _time;
    private readonly EventSource _source;

    internal RegistryEvents(EventEndpoint[] endpoints, MirrorOptions options, Locations locations, TimeProvider time)
    {
        (_endpoints, _includeReferences, _locations, _time) = (endpoints, options.Notifications.Events.IncludeReferences, locations, time);
        _source = new EventSource($"{Dns.GetHostName()}:{ListenAddress.Parse(options.Http.Addr).Port}", Guid.NewGuid().ToString());
    }

    /// <summary>A client got a manifest, or by HEAD its descriptor.</summary>
    /// <param name="tag">What it was asked by; null for a digest.</param>
    /// <param name="bytes">The manifest; empty for a HEAD, which then lists no references.</param>
    public void Pulled(RegistryRequest request, RepositoryName name, in Descriptor manifest, string? tag, ReadOnlyMemory<byte> bytes)
    {
        if (_endpoints.Length > 0)
            Tell(request, "pull", OfManifest(request, name, manifest, tag, bytes));
    }

    /// <summary>A client got a blob, or by HEAD its length.</summary>
    /// <param name="size">Of the whole blob; null where nobody knows it.</param>
    public void Pulled(RegistryRequest request, RepositoryName name, Digest blob, long? size)
    {
        if (_endpoints.Length > 0)
            Tell(request, "pull", OfBlob(request, name, blob, size));
    }

    /// <summary>A manifest was stored, and tagged where there is a tag; once for each tag.</summary>
    public void Pushed(RegistryRequest request, RepositoryName name, in Descriptor manifest, string? tag, ReadOnlyMemory<byte> bytes)
    {
        if (_endpoints.Length > 0)
            Tell(request, "push", OfManifest(request, name, manifest, tag, bytes));
    }

    /// <summary>A blob was stored.</summary>
    public void Pushed(RegistryRequest request, RepositoryName name, Digest blob, long size)
    {
        if (_endpoints.Length > 0)
            Tell(request, "push", OfBlob(request, name, blob, size));
    }

    /// <summary>A blob that was here became another repository's too.</summary>
    /// <param name="from">The repository the client named; null where it named none.</param>
    public void Mounted(RegistryRequest request, RepositoryName name, Digest blob, long? size, string? from)
    {
        if (_endpoints.Length > 0)
            Tell(request, "mount", OfBlob(request, name, blob, size) with { FromRepository = from });
    }

    /// <summary>A manifest or a blob was taken out.</summary>
    public void Deleted(RegistryRequest request, RepositoryName name, Digest digest)
    {
        if (_endpoints.Length > 0)
            Tell(request, "delete", new EventTarget { Repository = name.ToString(), Digest = digest.ToString() });
    }

    /// <summary>A tag was taken out.</summary>
    public void Deleted(RegistryRequest request, RepositoryName name, string tag)
    {
        if (_endpoints.Length > 0)
            Tell(request, "delete", new EventTarget { Repository = name.ToString(), Tag = tag });
    }

    private EventTarget OfManifest(RegistryRequest request, RepositoryName name, in Descriptor manifest, string? tag, ReadOnlyMemory<byte> bytes) => new()
    {
        MediaType = manifest.MediaType,
        Size = manifest.Size,
        Digest = manifest.Digest.ToString(),
        Repository = name.ToString(),
        Url = _locations.Manifest(request.Http.Request, name, manifest.Digest),
        Tag = tag,
        References = _includeReferences ? EventReference.Of(bytes) : null,
    };

    private EventTarget OfBlob(RegistryRequest request, RepositoryName name, Digest blob, long? size) => new()
    {
        MediaType = MediaTypes.OctetStream,
        Size = size,
        Digest = blob.ToString(),
        Repository = name.ToString(),
        Url = _locations.Blob(request.Http.Request, name, blob),
    };

    private void Tell(RegistryRequest request, string action, EventTarget target)
    {
        byte[]? json = null;
        foreach (var endpoint in _endpoints)
        {
            if (!endpoint.Wants(action, target.MediaType))
                continue;
            json ??= JsonSerializer.SerializeToUtf8Bytes(
                new RegistryEvent(Guid.NewGuid().ToString(), _time.GetUtcNow().UtcDateTime, action, target, Asked(request.Http), new EventActor(request.User), _source),
                EventJson.Default.RegistryEvent);
            endpoint.Add(json);
        }
    }

    private static EventRequest Asked(HttpContext http) => new(
        http.TraceIdentifier, $"{http.Connection.RemoteIpAddress}:{http.Connection.RemotePort}", http.Request.Host.Value, http.Request.Method, Text(http.Request.Headers.UserAgent));

    private static string? Text(string? header) => string.IsNullOrEmpty(header) ? null : header;
}
