using System.Diagnostics;
using Mirror.Configuration;
using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>Records an answered request: metrics, trace, access log and application log.</summary>
public sealed class RequestRecord(
    RequestMetrics metrics, AccessLog accessLog, LogOptions logging, TimeProvider time, ILogger<RequestRecord> log)
{
    // The longest text in the log that a client can choose.
    private const int MaxClientText = 128;

    private const string LoginAdvice =
        "if this user should have access, correct the password at the client or in auth; if such lines go on, block the address";

    public void Write(RegistryRequest request, TimeSpan duration)
    {
        var (context, route) = (request.Http, request.Route);
        var (method, status) = (context.Request.Method, context.Response.StatusCode);
        if (request.CacheStatus is { } outcome && route.Kind is RouteKind.Blob or RouteKind.Manifest)
            metrics.Answered(route.Kind is RouteKind.Blob ? ContentKind.Blob : ContentKind.Manifest, outcome, request.Written);
        metrics.Ended(route.Kind, method, status, duration.TotalSeconds, context.Request.ContentLength ?? 0, request.Written);
        Activity.Current?.EndRequest(route.Kind, method, status, request.CacheStatus);

        var level = request.Failed?.Level ?? LogLevel.Information;
        // A login that failed may be an attack.
        if (request.RefusedUser is not null && level < LogLevel.Warning)
            level = LogLevel.Warning;
        var isLogged = log.IsEnabled(level);
        if (logging.AccessLog.Disabled && !isLogged)
            return;
        var completed = new CompletedRequest
        {
            Level = level,
            Id = context.TraceIdentifier,
            ClientId = ClientText.Cut(context.Request.Headers["X-Request-Id"], MaxClientText),
            Method = method,
            Host = context.Request.Host.Value,
            Uri = $"{context.Request.Path.ToUriComponent()}{context.Request.QueryString}",
            Protocol = context.Request.Protocol,
            RemoteAddress = context.Connection.RemoteIpAddress?.ToString(),
            RemotePort = context.Connection.RemotePort,
            Referer = context.Request.Headers.Referer,
            UserAgent = context.Request.Headers.UserAgent,
            User = request.User?.Name,
            RefusedUser = ClientText.Cut(request.RefusedUser, MaxClientText),
            Status = status,
            Written = request.Written,
            ContentType = context.Response.ContentType,
            Time = time.GetUtcNow() - duration,
            Duration = duration,
            Name = route.Name,
            Reference = route.Kind is RouteKind.Manifest ? route.Last : null,
            Digest = route.Kind is RouteKind.Blob ? route.Last : null,
            Upload = route.Kind is RouteKind.BlobUploadChunk ? route.Last : null,
            ErrorCode = request.Failed?.Error.Code,
            ErrorMessage = request.Failed?.Error.Message,
            ErrorDetail = request.Failed?.Cause ?? request.Failed?.Detail,
            Advice = request.Failed?.Advice ?? (request.RefusedUser is null ? null : LoginAdvice),
            Cache = request.CacheStatus,
        };
        if (!logging.AccessLog.Disabled)
            accessLog.Write(completed);
        if (isLogged)
            RequestLog.Completed(log, completed);
    }
}
