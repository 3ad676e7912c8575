using System.Text.Json.Serialization;
using Mirror.Storage;

namespace Mirror.Notifications;

/// <summary>One event as <c>registry:2</c> writes it. Properties that are null are left out.</summary>
internal sealed record RegistryEvent(
    string Id, DateTime Timestamp, string Action, EventTarget Target, EventOrigin Request, EventActor Actor, EventSource Source);

/// <summary>The manifest, blob or tag of an event.</summary>
internal sealed record EventTarget(string Repository)
{
    public string? MediaType { get; init; }
    public long? Size { get; init; }
    public string? Digest { get; init; }

    /// <summary>The same as <see cref="Size"/>, by its older name.</summary>
    public long? Length => Size;
    public string? FromRepository { get; init; }
    public string? Url { get; init; }
    public string? Tag { get; init; }
    public IReadOnlyList<EventReference>? References { get; init; }
}

internal sealed record EventReference(string? MediaType, long? Size, string Digest)
{
    /// <summary>The config, layers or children of a manifest, in its order; null where it has none, or there are no bytes.</summary>
    public static IReadOnlyList<EventReference>? Of(ReadOnlyMemory<byte> manifest)
    {
        EventReference[] references =
        [
            .. (ManifestDocument.Read(manifest.Span)?.Entries ?? [])
                .Where(entry => entry.Field is "config" or "layers" or "manifests")
                .Select(entry => new EventReference(
                    entry.MediaType.Length > 0 ? entry.MediaType : null, entry.Size, entry.Digest.ToString())),
        ];
        return references.Length > 0 ? references : null;
    }
}

internal sealed record EventActor(string? Name);

internal sealed record EventSource(string Addr, string InstanceID);

[JsonSerializable(typeof(RegistryEvent))]
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class EventJson : JsonSerializerContext;
