using System.Text.Json.Serialization;

namespace Mirror.Registry;

/// <summary>The one renderer of errors: <c>{"errors":[{"code","message","detail"}]}</c> as JSON, which clients parse by its type.</summary>
internal static class ErrorBody
{
    public static Task WriteAsync(RegistryRequest request, RegistryError error, string? detail)
    {
        request.Failed = (error, detail);
        request.Http.Response.StatusCode = error.Status;
        return JsonBody.WriteAsync(request, new ErrorList([new ErrorItem(error.Code, error.Message, detail)]), RegistryJson.Default.ErrorList);
    }
}

internal sealed record ErrorList([property: JsonPropertyName("errors")] IReadOnlyList<ErrorItem> Errors);

internal sealed record ErrorItem(
    [property: JsonPropertyName("code")] string Code,
    [property: JsonPropertyName("message")] string Message,
    [property: JsonPropertyName("detail"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Detail);
