using System.Text.Json.Serialization;

namespace Mirror.Notifications;

/// <summary>The request that an event tells of, as the event's <c>request</c> shows it.</summary>
/// <param name="Address">The client's address and port.</param>
/// <param name="Host">The <c>Host</c> that the client sent.</param>
/// <param name="User">The authenticated user; null where there is none. It is the event's <c>actor</c>.</param>
/// <param name="BaseUrl">What precedes <c>/v2/</c> in the URLs of the event's target; empty for relative ones.</param>
public sealed record EventOrigin(
    [property: JsonPropertyName("id")] string RequestId,
    [property: JsonPropertyName("addr")] string Address,
    [property: JsonPropertyName("host")] string? Host,
    [property: JsonPropertyName("method")] string Method,
    [property: JsonPropertyName("useragent")] string? UserAgent,
    [property: JsonIgnore] string? User,
    [property: JsonIgnore] string BaseUrl);
