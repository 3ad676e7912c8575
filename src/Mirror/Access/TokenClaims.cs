using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mirror.Access;

/// <summary>The claims of a token (RFC 7519; for <see cref="Access"/>, Docker's "Token Authentication Specification").</summary>
internal sealed record TokenClaims
{
    public string? Iss { get; init; }

    public string? Sub { get; init; }

    /// <summary>A text, or a list of texts.</summary>
    public JsonElement Aud { get; init; }

    /// <summary>Seconds since 1970; a token without it has ended.</summary>
    public double Exp { get; init; }

    public double? Nbf { get; init; }

    public IReadOnlyList<TokenAccess?>? Access { get; init; }

    /// <summary>All other claims.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>The values of a claim: of a list each one; none for an object.</summary>
    public IEnumerable<string> ValuesOf(string claim) => claim switch
    {
        "iss" => Iss is null ? [] : [Iss],
        "sub" => Sub is null ? [] : [Sub],
        "aud" => TextsOf(Aud),
        _ => Others?.TryGetValue(claim, out var value) == true ? TextsOf(value) : [],
    };

    /// <summary>Whether the token is for this service.</summary>
    public bool IsFor(string service) => Aud.ValueKind switch
    {
        JsonValueKind.String => Aud.ValueEquals(service),
        JsonValueKind.Array => Aud.EnumerateArray().Any(one => one.ValueKind is JsonValueKind.String && one.ValueEquals(service)),
        _ => false,
    };

    private static IEnumerable<string> TextsOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.EnumerateArray().Where(one => one.ValueKind is not JsonValueKind.Array).SelectMany(TextsOf),
        JsonValueKind.String => [value.GetString()!],
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => [value.GetRawText()],
        _ => [],
    };
}

/// <summary>The actions that a token allows on one resource.</summary>
internal sealed record TokenAccess(string? Type, string? Class, string? Name, IReadOnlyList<string?>? Actions)
{
    public bool Allows(in ResourceAction right) =>
        Type == right.Type && Name == right.Name && Actions is { } actions && (actions.Contains("*") || actions.Contains(right.Action));
}

[JsonSerializable(typeof(TokenClaims))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(Dictionary<string, string[]>))]
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class TokenJson : JsonSerializerContext;
