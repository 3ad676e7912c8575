using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mirror.Upstream;

/// <summary>The response of a token service.</summary>
internal sealed record TokenBody(
    [property: JsonPropertyName("token")] string? Token,
    [property: JsonPropertyName("access_token")] string? AccessToken,
    [property: JsonPropertyName("expires_in")] JsonElement? ExpiresIn)
{
    /// <summary>The token, under whichever of its two names it is; null for none.</summary>
    [JsonIgnore]
    public string? Value => !string.IsNullOrEmpty(Token) ? Token : !string.IsNullOrEmpty(AccessToken) ? AccessToken : null;

    /// <summary>The lifetime, which comes as a number or as text; null for what is neither.</summary>
    [JsonIgnore]
    public double? Seconds => ExpiresIn switch
    {
        { ValueKind: JsonValueKind.Number } number when number.TryGetDouble(out var seconds) => seconds,
        { ValueKind: JsonValueKind.String } text
            when double.TryParse(
                // As bytes, because they may be no UTF-8.
                JsonMarshal.GetRawUtf8Value(text).Trim((byte)'"'), NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) =>
                seconds,
        _ => null,
    };
}

/// <summary>A registry's response to <c>tags/list</c>.</summary>
internal sealed class TagsBody
{
    /// <summary>The tags. registry:2 sends null for an empty list.</summary>
    [JsonPropertyName("tags")]
    public IReadOnlyList<string>? Tags
    {
        get;
        set
        {
            field = value;
            _hasTags = true;
        }
    }

    /// <summary>The errors of an answer that is no list.</summary>
    [JsonPropertyName("errors")]
    public JsonElement Errors { get; set; }

    /// <summary>Whether this is a list. Some services send an error, or any other object, with status 200.</summary>
    [JsonIgnore]
    public bool IsList => _hasTags && !(Errors.ValueKind == JsonValueKind.Array && Errors.GetArrayLength() > 0);

    private bool _hasTags;
}

// Clients in Go, which services are tested with, compare names without regard to case.
[JsonSourceGenerationOptions(PropertyNameCaseInsensitive = true)]
[JsonSerializable(typeof(TokenBody))]
[JsonSerializable(typeof(TagsBody))]
internal sealed partial class UpstreamJson : JsonSerializerContext;
