using System.Net;
using System.Text.Json;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Notifications;

/// <summary>
/// Writes an event for each pull, push, mount and delete that succeeded. A call appends the event to each endpoint's queue and returns.
/// Callers ask <see cref="IsEnabled"/> first, so that a registry without endpoints does no work for events.
/// </summary>
public sealed class RegistryEvents
{
    private readonly EventEndpoint[] _endpoints;
    private readonly bool _includeReferences;
    private readonly TimeProvider _time;
    private readonly EventSource _source;

    internal RegistryEvents(EventEndpoint[] endpoints, MirrorOptions options, TimeProvider time)
    {
        (_endpoints, _includeReferences, _time) = (endpoints, options.Notifications.Events.IncludeReferences, time);
        var port = options.Http.Listen is { Socket: null } address ? $":{address.Port}" : "";
        _source = new EventSource($"{Dns.GetHostName()}{port}", Guid.NewGuid().ToString());
    }

    /// <summary>Whether there is an endpoint to send events to.</summary>
    public bool IsEnabled => _endpoints.Length > 0;

    /// <summary>A client got a manifest, or its headers by HEAD.</summary>
    /// <param name="tag">The tag that the client asked for; null where it asked by digest.</param>
    /// <param name="bytes">The manifest; empty for a HEAD, whose event lists no references.</param>
    public void Pulled(EventOrigin origin, RepositoryName name, in Descriptor manifest, string? tag, ReadOnlyMemory<byte> bytes) =>
        Enqueue(origin, "pull", OfManifest(origin, name, manifest, tag, bytes));

    /// <summary>A client got a blob, or its headers by HEAD.</summary>
    /// <param name="size">The length of the whole blob in bytes; null where it is not known.</param>
    public void Pulled(EventOrigin origin, RepositoryName name, Digest blob, long? size) =>
        Enqueue(origin, "pull", OfBlob(origin, name, blob, size));

    /// <summary>A client stored a manifest. One call for each tag that was set, or one without a tag.</summary>
    public void Pushed(EventOrigin origin, RepositoryName name, in Descriptor manifest, string? tag, ReadOnlyMemory<byte> bytes) =>
        Enqueue(origin, "push", OfManifest(origin, name, manifest, tag, bytes));

    /// <summary>A client stored a blob of this many bytes.</summary>
    public void Pushed(EventOrigin origin, RepositoryName name, Digest blob, long size) =>
        Enqueue(origin, "push", OfBlob(origin, name, blob, size));

    /// <summary>A client linked a stored blob into another repository.</summary>
    /// <param name="from">The repository that the client named; null where it named none.</param>
    public void Mounted(EventOrigin origin, RepositoryName name, Digest blob, long? size, string? from) =>
        Enqueue(origin, "mount", OfBlob(origin, name, blob, size) with { FromRepository = from });

    /// <summary>A client deleted a manifest or a blob.</summary>
    public void Deleted(EventOrigin origin, RepositoryName name, Digest digest) =>
        Enqueue(origin, "delete", new EventTarget(name.ToString()) { Digest = digest.ToString() });

    /// <summary>A client deleted a tag.</summary>
    public void Deleted(EventOrigin origin, RepositoryName name, string tag) =>
        Enqueue(origin, "delete", new EventTarget(name.ToString()) { Tag = tag });

    private EventTarget OfManifest(
        EventOrigin origin, RepositoryName name, in Descriptor manifest, string? tag, ReadOnlyMemory<byte> bytes) =>
        new(name.ToString())
        {
            MediaType = manifest.MediaType,
            Size = manifest.Size,
            Digest = manifest.Digest.ToString(),
            Url = $"{origin.BaseUrl}/v2/{name}/manifests/{manifest.Digest}",
            Tag = tag,
            References = _includeReferences ? EventReference.Of(bytes) : null,
        };

    private static EventTarget OfBlob(EventOrigin origin, RepositoryName name, Digest blob, long? size) => new(name.ToString())
    {
        MediaType = MediaTypes.OctetStream,
        Size = size,
        Digest = blob.ToString(),
        Url = $"{origin.BaseUrl}/v2/{name}/blobs/{blob}",
    };

    private void Enqueue(EventOrigin origin, string action, EventTarget target)
    {
        byte[]? json = null;
        foreach (var endpoint in _endpoints.Where(endpoint => endpoint.Wants(action, target.MediaType)))
        {
            json ??= JsonSerializer.SerializeToUtf8Bytes(
                new RegistryEvent(
                    Guid.NewGuid().ToString(), _time.GetUtcNow().UtcDateTime, action, target, origin, new EventActor(origin.User), _source),
                EventJson.Default.RegistryEvent);
            // A client's change is on the disk when it is acknowledged, and so is its event. Pulls are too many for that.
            endpoint.Enqueue(json, flush: action != "pull");
        }
    }
}
