using System.Text.Json.Serialization;
using Mirror.Access;

namespace Mirror.Registry;

/// <summary>The body of every error: <c>{"errors":[{"code","message","detail"}]}</c>.</summary>
internal sealed record ErrorList(IReadOnlyList<ErrorItem> Errors);

/// <param name="Detail">A text, or the rights that were needed.</param>
internal sealed record ErrorItem(string Code, string Message, object? Detail);

/// <summary>A right that a request needs, as registry:2 writes it.</summary>
internal sealed record NeededRight(
    [property: JsonPropertyName("Type")] string Type,
    [property: JsonPropertyName("Class")] string Class,
    [property: JsonPropertyName("Name")] string Name,
    [property: JsonPropertyName("Action")] string Action)
{
    public static NeededRight Of(ResourceAction right) => new(right.Type, "", right.Name, right.Action);
}

internal sealed record TagList(string Name, IReadOnlyList<string> Tags);

internal sealed record RepositoryList(IReadOnlyList<string> Repositories);

/// <summary>An error as docker-registry 0.x wrote it.</summary>
internal sealed record OldError(string Error);

/// <summary>The answer of <c>/auth/token</c>; some clients read one name of the token, and some the other.</summary>
internal sealed record TokenAnswer(
    [property: JsonPropertyName("token")] string Token,
    [property: JsonPropertyName("access_token")] string AccessToken,
    [property: JsonPropertyName("expires_in")] int ExpiresIn,
    [property: JsonPropertyName("issued_at")] string IssuedAt);

/// <summary>Every JSON document that the registry writes. Properties that are null are left out.</summary>
[JsonSerializable(typeof(ErrorList))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(List<NeededRight>))]
[JsonSerializable(typeof(TokenAnswer))]
[JsonSerializable(typeof(OldError))]
[JsonSerializable(typeof(TagList))]
[JsonSerializable(typeof(RepositoryList))]
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class RegistryJson : JsonSerializerContext;
