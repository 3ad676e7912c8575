using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Mirror.Registry;

/// <summary>Answers that are JSON of our own making.</summary>
internal static class JsonBody
{
    public static Task WriteAsync<T>(RegistryRequest request, T value, JsonTypeInfo<T> type) =>
        WriteAsync(request, JsonSerializer.SerializeToUtf8Bytes(value, type));

    public static async Task WriteAsync(RegistryRequest request, ReadOnlyMemory<byte> json, string mediaType = "application/json")
    {
        request.Http.Response.ContentType = mediaType;
        request.Http.Response.ContentLength = json.Length;
        if (request.IsHead)
            return;
        await request.Http.Response.Body.WriteAsync(json, request.Aborted);
        request.Written = json.Length;
    }
}
