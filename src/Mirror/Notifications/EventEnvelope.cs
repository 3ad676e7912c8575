using System.Text.Json.Serialization;
using Mirror.Storage;

namespace Mirror.Notifications;

/// <summary>One event as <c>registry:2</c> writes it; an envelope is <c>{"events":[...]}</c>. What is null or empty is left out.</summary>
internal sealed record RegistryEvent(
    [property: JsonPropertyName("id")] string Id,
    [property: JsonPropertyName("timestamp")] DateTime Timestamp,
    [property: JsonPropertyName("action")] string Action,
    [property: JsonPropertyName("target")] EventTarget Target,
    [property: JsonPropertyName("request")] EventRequest Request,
    [property: JsonPropertyName("actor")] EventActor Actor,
    [property: JsonPropertyName("source")] EventSource Source);

internal sealed record EventTarget
{
    [JsonPropertyName("mediaType")]
    public string? MediaType { get; init; }

    [JsonPropertyName("size")]
    public long? Size { get; init; }

    [JsonPropertyName("digest")]
    public string? Digest { get; init; }

    /// <summary>The same as <see cref="Size"/>, by its older name.</summary>
    [JsonPropertyName("length")]
    public long? Length => Size;

    [JsonPropertyName("repository")]
    public required string Repository { get; init; }

    [JsonPropertyName("fromRepository")]
    public string? FromRepository { get; init; }

    [JsonPropertyName("url")]
    public string? Url { get; init; }

    [JsonPropertyName("tag")]
    public string? Tag { get; init; }

    [JsonPropertyName("references")]
    public IReadOnlyList<EventReference>? References { get; init; }
}

internal sealed record EventReference(
    [property: JsonPropertyName("mediaType")] string? MediaType, [property: JsonPropertyName("size")] long? Size, [property: JsonPropertyName("digest")] string Digest)
{
    /// <summary>What a manifest refers to, in its order; null where it refers to nothing, or is not there.</summary>
    public static IReadOnlyList<EventReference>? Of(ReadOnlyMemory<byte> manifest)
    {
        EventReference[] references =
        [
            .. (ManifestDocument.Read(manifest.Span)?.Entries ?? [])
                .Where(entry => entry.Field is "config" or "layers" or "manifests")
                .Select(entry => new EventReference(entry.MediaType.Length > 0 ? entry.MediaType : null, entry.Size, entry.Digest.ToString())),
        ];
        return references.Length > 0 ? references : null;
    }
}

internal sealed record EventRequest(
    [property: JsonPropertyName("id")] string? Id,
    [property: JsonPropertyName("addr")] string? Address,
    [property: JsonPropertyName("host")] string? Host,
    [property: JsonPropertyName("method")] string? Method,
    [property: JsonPropertyName("useragent")] string? UserAgent);

internal sealed record EventActor([property: JsonPropertyName("name")] string? Name);

internal sealed record EventSource([property: JsonPropertyName("addr")] string? Address, [property: JsonPropertyName("instanceID")] string? InstanceId);

[JsonSerializable(typeof(RegistryEvent))]
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class EventJson : JsonSerializerContext;
