using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Mirror.Tests.Peers.Gcs;

/// <summary>An answer of Google that is not a success.</summary>
internal sealed class GcsError(int status, string reason, string message) : Exception(message)
{
    public int Status => status;

    public static GcsError NoBucket() => new(404, "notFound", "The specified bucket does not exist.");

    public static GcsError NoObject(string bucket, string name) => new(404, "notFound", $"No such object: {bucket}/{name}");

    public static GcsError ConditionNotMet() =>
        new(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");

    public static GcsError NotModified() => new(304, "notModified", "");

    public static GcsError Invalid(string message) => new(400, "invalid", message);

    /// <summary>The answer for a fault that a test ordered.</summary>
    public static GcsError Of(int status) => status switch
    {
        401 => new(401, "authError", "Invalid Credentials"),
        403 => new(403, "forbidden", "The caller does not have permission."),
        404 => NoBucket(),
        408 => new(408, "requestTimeout", "Request timeout."),
        429 => new(429, "rateLimitExceeded", "The rate of requests exceeds the limit. Please reduce your request rate."),
        _ => new(status, "backendError", "We encountered an internal error. Please try again."),
    };

    /// <summary>Writes it: as JSON, or as plain text for a request for an object's bytes.</summary>
    public async Task WriteAsync(HttpContext context)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }
        context.Response.StatusCode = status;
        // Google's own, in every answer.
        context.Response.Headers["X-GUploader-UploadID"] = "AKDAyIv";
        if (status == 401)
            context.Response.Headers.WWWAuthenticate = "Bearer realm=\"https://accounts.google.com/\"";
        if (status == 304)
            return;
        if (context.Request.Query["alt"] == "media")
        {
            context.Response.ContentType = "text/html; charset=UTF-8";
            await context.Response.WriteAsync(Message);
            return;
        }
        var detail = new JsonObject { ["message"] = Message, ["domain"] = status == 429 ? "usageLimits" : "global", ["reason"] = reason };
        if (status == 412)
            (detail["locationType"], detail["location"]) = ("header", "If-Match");
        context.Response.ContentType = "application/json; charset=UTF-8";
        await context.Response.WriteAsync(new JsonObject
        {
            ["error"] = new JsonObject { ["code"] = status, ["message"] = Message, ["errors"] = new JsonArray(detail) },
        }.ToJsonString());
    }
}
