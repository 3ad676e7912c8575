using System.Diagnostics;
using Mirror.Configuration;
using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>What is kept of a request when it has been answered: metrics, trace, access log and application log.</summary>
public sealed class RequestRecord(
    RegistryMetrics metrics, AccessLog accessLog, LogOptions logging, TimeProvider time, ILogger<RequestRecord> log)
{
    public void Write(RegistryRequest request, TimeSpan duration)
    {
        var (context, route) = (request.Http, request.Route);
        var (method, status) = (context.Request.Method, context.Response.StatusCode);
        if (request.CacheStatus is { } outcome && route.Kind is RouteKind.Blob or RouteKind.Manifest)
            metrics.RecordAnswer(route.Kind is RouteKind.Blob ? ContentKind.Blob : ContentKind.Manifest, outcome, request.Written);
        metrics.RequestEnded(route.Kind, method, status, duration.TotalSeconds, context.Request.ContentLength ?? 0, request.Written);
        Activity.Current?.EndRequest(route.Kind, method, status, request.CacheStatus);

        var headers = context.Request.Headers;
        var uri = $"{context.Request.Path.ToUriComponent()}{context.Request.QueryString}";
        if (!logging.AccessLog.Disabled)
            accessLog.Write(new AccessEntry
            {
                RemoteAddress = context.Connection.RemoteIpAddress?.ToString(),
                User = request.User?.Name,
                Time = time.GetUtcNow() - duration,
                Method = method,
                Uri = uri,
                Protocol = context.Request.Protocol,
                Status = status,
                Bytes = request.Written,
                Referer = headers.Referer,
                UserAgent = headers.UserAgent,
            });
        if (log.IsEnabled(LogLevel.Information))
            RequestLog.Completed(log, new CompletedRequest
            {
                Id = context.TraceIdentifier,
                Method = method,
                Host = context.Request.Host.Value,
                Uri = uri,
                RemoteAddress = $"{context.Connection.RemoteIpAddress}:{context.Connection.RemotePort}",
                Referer = headers.Referer,
                UserAgent = headers.UserAgent,
                User = request.User?.Name,
                Status = status,
                Written = request.Written,
                ContentType = context.Response.ContentType,
                Duration = duration,
                Name = route.Name,
                Reference = route.Kind is RouteKind.Manifest ? route.Last : null,
                Digest = route.Kind is RouteKind.Blob ? route.Last : null,
                Upload = route.Kind is RouteKind.BlobUploadChunk ? route.Last : null,
                ErrorCode = request.Failed?.Error.Code,
                ErrorMessage = request.Failed?.Detail ?? request.Failed?.Error.Message,
                Cache = request.CacheStatus,
            });
    }
}
