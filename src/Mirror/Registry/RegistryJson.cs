using System.Text.Json.Serialization;

namespace Mirror.Registry;

/// <summary>The body of every error: <c>{"errors":[{"code","message","detail"}]}</c>.</summary>
internal sealed record ErrorList(IReadOnlyList<ErrorItem> Errors);

internal sealed record ErrorItem(string Code, string Message, string? Detail);

internal sealed record TagList(string Name, IReadOnlyList<string> Tags);

internal sealed record RepositoryList(IReadOnlyList<string> Repositories);

/// <summary>Every JSON document that the registry writes. Properties that are null are left out.</summary>
[JsonSerializable(typeof(ErrorList))]
[JsonSerializable(typeof(TagList))]
[JsonSerializable(typeof(RepositoryList))]
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class RegistryJson : JsonSerializerContext;
