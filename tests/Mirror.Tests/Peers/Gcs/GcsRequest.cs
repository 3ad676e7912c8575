using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Mirror.Tests.Peers.Gcs;

/// <summary>What the methods of the interface read from a request and write into an answer.</summary>
internal static class GcsRequest
{
    private const int MaxNameLength = 1024;

    public static GcsObject New(string bucket, HttpRequest request, JsonObject said, string? contentType)
    {
        var name = request.Query["name"].FirstOrDefault() ?? (string?)said["name"] ?? throw new GcsError(400, "required", "Required");
        return New(bucket, name, said, contentType);
    }

    public static GcsObject New(string bucket, string name, JsonObject said, string? contentType)
    {
        if (name.Length == 0 || System.Text.Encoding.UTF8.GetByteCount(name) > MaxNameLength || name.IndexOfAny(['\r', '\n']) >= 0)
            throw GcsError.Invalid("The specified object name is not valid.");
        var fields = new JsonObject();
        foreach (var kept in new[] { "metadata", "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "customTime" })
            if (said[kept] is { } value)
                fields[kept] = value.DeepClone();
        return new GcsObject(bucket, name, null!)
        {
            ContentType = (string?)said["contentType"] ?? contentType ?? "application/octet-stream",
            Fields = fields,
        };
    }

    // Google's client for .NET compresses the documents that it sends.
    public static async Task<JsonObject> JsonAsync(HttpRequest request)
    {
        var isCompressed = request.Headers.ContentEncoding == "gzip";
        await using var body = isCompressed ? new GZipStream(request.Body, CompressionMode.Decompress) : request.Body;
        using var bytes = new MemoryStream();
        await body.CopyToAsync(bytes, request.HttpContext.RequestAborted);
        if (bytes.Length == 0)
            return [];
        try
        {
            return JsonNode.Parse(bytes.ToArray())?.AsObject() ?? [];
        }
        catch (JsonException)
        {
            throw new GcsError(400, "parseError", "Parse Error");
        }
    }

    public static GcsConditions Conditions(IQueryCollection query) => new(
        Long(query["generation"]), Long(query["ifGenerationMatch"]), Long(query["ifGenerationNotMatch"]),
        Long(query["ifMetagenerationMatch"]), Long(query["ifMetagenerationNotMatch"]));

    public static long? Long(Microsoft.Extensions.Primitives.StringValues text) =>
        text.Count == 0 ? null
        : long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
        : throw GcsError.Invalid($"Invalid value: {text}");

    public static long? Long(JsonNode? node) =>
        node is null ? null : long.Parse(node.ToString(), CultureInfo.InvariantCulture);

    public static Task Done(HttpContext context, Action action)
    {
        action();
        context.Response.StatusCode = 204;
        return Task.CompletedTask;
    }

    public static async Task AnswerAsync(HttpContext context, JsonNode answer)
    {
        context.Response.ContentType = "application/json; charset=UTF-8";
        if (!HttpMethods.IsHead(context.Request.Method))
            await context.Response.WriteAsync(answer.ToJsonString());
    }
}
