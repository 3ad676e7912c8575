using System.Text.Json.Serialization;

namespace Mirror.Registry;

internal sealed record TagList([property: JsonPropertyName("name")] string Name, [property: JsonPropertyName("tags")] IReadOnlyList<string> Tags);

internal sealed record RepositoryList([property: JsonPropertyName("repositories")] IReadOnlyList<string> Repositories);

/// <summary>Every JSON document that the registry writes.</summary>
[JsonSerializable(typeof(ErrorList))]
[JsonSerializable(typeof(TagList))]
[JsonSerializable(typeof(RepositoryList))]
internal sealed partial class RegistryJson : JsonSerializerContext;
