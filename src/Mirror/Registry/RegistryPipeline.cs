using System.Diagnostics;
using System.Globalization;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Health;
using Mirror.PullThrough.Fills;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.Registry;

/// <summary>
/// What surrounds every answer: the headers that all have, the one place where a failure becomes an answer, and the count, the log line and
/// the access log line afterwards.
/// </summary>
public sealed partial class RegistryPipeline(
    RegistryRoutes routes, HttpOptions http, ReplicaSignature signature, LogOptions logging, RegistryMetrics metrics, AccessLog accessLog, TimeProvider time, ILogger<RegistryPipeline> log,
    BasicAccess? access = null, HealthChecks? health = null)
{
    // What a client is told to wait where upstream did not say.
    private static readonly TimeSpan DefaultRetryAfter = TimeSpan.FromSeconds(60);

    private readonly string _prefix = http.Prefix.TrimEnd('/');

    /// <summary>Answers one request, whatever happens.</summary>
    public async Task InvokeAsync(HttpContext context)
    {
        var started = time.GetTimestamp();
        var request = new RegistryRequest(context, RouteOf(context.Request.Path.Value ?? ""));
        metrics.RequestStarted(request.Route.Kind);
        SetCommonHeaders(context.Response.Headers);
        if (request.Namespace is { } ns && RepositoryName.TryParse(ns, out _))
            context.Response.Headers["OCI-Namespace"] = ns;
        try
        {
            if (health?.Refuse(asksForHealth: request.Route.Kind is RouteKind.Other) == true)
                throw new RegistryException(RegistryError.Unavailable, "a check of section health fails");
            await AuthenticateAsync(request);
            await routes.AnswerAsync(request);
        }
        catch (Exception failure)
        {
            await FailAsync(request, failure);
        }
        finally
        {
            Record(request, time.GetElapsedTime(started));
        }
    }

    private async ValueTask AuthenticateAsync(RegistryRequest request)
    {
        // Load balancers ask for "/", which says nothing. A replica asks for blobs that its own clients were let in for.
        if (access is null || request.Route.Kind is RouteKind.Other || request.Route.Kind is RouteKind.Blob && request.Http.Request.Method == "GET" && signature.IsFromReplica(request.Http.Request))
            return;
        request.User = await access.UserAsync(request.Http.Request.Headers.Authorization, request.Aborted)
            ?? throw new RegistryException(RegistryError.Unauthorized, "a user name and its password are needed") { Headers = [("WWW-Authenticate", access.Challenge)] };
    }

    private RegistryRoute RouteOf(string path) =>
        _prefix.Length == 0 ? RegistryRoute.Of(path)
        : path.StartsWith(_prefix, StringComparison.Ordinal) ? RegistryRoute.Of(path[_prefix.Length..])
        : new RegistryRoute(RouteKind.Other, "", "");

    private void SetCommonHeaders(IHeaderDictionary headers)
    {
        headers["Docker-Distribution-Api-Version"] = "registry/2.0";
        foreach (var (name, values) in http.Headers)
            headers[name] = values;
    }

    private async Task FailAsync(RegistryRequest request, Exception failure)
    {
        var response = request.Http.Response;
        if (request.Aborted.IsCancellationRequested)
        {
            metrics.RecordClientAbort();
            return;
        }
        var (error, detail, retryAfter) = ToRegistryError(failure);
        if (failure is IOException { IsOfTheStore: true } or UnauthorizedAccessException)
            LogStore(failure.Message);
        if (error == RegistryError.Unknown)
            LogBug(request.Http.Request.Path, failure);
        if (response.HasStarted)
        {
            // Headers promised bytes that cannot be had, or would be wrong: the client must not see a clean end.
            request.Failed = (error, detail);
            request.Http.Abort();
            return;
        }
        var range = response.Headers.ContentRange;
        response.Clear();
        SetCommonHeaders(response.Headers);
        response.Headers.ContentRange = range;
        foreach (var (name, value) in (failure as RegistryException)?.Headers ?? [])
            response.Headers[name] = value;
        if (retryAfter is { } wait)
            response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        try
        {
            await ErrorBody.WriteAsync(request, error, detail);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException)
        {
            metrics.RecordClientAbort();
        }
    }

    private static (RegistryError Error, string? Detail, TimeSpan? RetryAfter) ToRegistryError(Exception failure) => failure switch
    {
        RegistryException known => (known.Error, known.Detail, null),
        UpstreamRefusedException refused => (RegistryError.NameUnknown, refused.Message, null),
        UpstreamLimitedException limited => (RegistryError.TooManyRequests, limited.Message, limited.RetryAfter ?? DefaultRetryAfter),
        UpstreamUnavailableException or DigestMismatchException or ReplicaLostException => (RegistryError.Unavailable, failure.Message, null),
        // What exactly is wrong with the store is the operator's to know.
        StoreUnavailableException or IOException { IsOutOfFiles: true } => (RegistryError.Unavailable, "the store cannot be used at the moment", null),
        IOException { IsReadOnly: true } or UnauthorizedAccessException => (RegistryError.Unavailable, "the store cannot be written to at the moment", null),
        BadHttpRequestException bad => (new RegistryError("UNSUPPORTED", bad.StatusCode, bad.Message), null, null),
        IOException { InnerException: UpstreamException or DigestMismatchException } broken => (RegistryError.Unavailable, broken.Message, null),
        IOException { IsNoSpace: true } => (RegistryError.StorageFull, null, null),
        _ => (RegistryError.Unknown, null, null),
    };

    private void Record(RegistryRequest request, TimeSpan duration)
    {
        var (context, route) = (request.Http, request.Route);
        var status = context.Response.StatusCode;
        var kind = route.Kind switch { RouteKind.Blob => ContentKind.Blob, RouteKind.Manifest => ContentKind.Manifest, _ => (ContentKind?)null };
        if (request.CacheStatus is { } outcome && kind is { } content)
            metrics.RecordAnswer(content, outcome, request.Written);
        metrics.RequestEnded(route.Kind, context.Request.Method, status, duration.TotalSeconds, context.Request.ContentLength ?? 0, request.Written);

        Activity.Current?.EndRequest(route.Kind, context.Request.Method, status, request.CacheStatus);

        var headers = context.Request.Headers;
        var uri = $"{context.Request.Path.ToUriComponent()}{context.Request.QueryString}";
        if (!logging.AccessLog.Disabled)
            accessLog.Write(new AccessEntry
            {
                RemoteAddress = context.Connection.RemoteIpAddress?.ToString(),
                User = request.User,
                Time = time.GetUtcNow() - duration,
                Method = context.Request.Method,
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
                Method = context.Request.Method,
                Host = context.Request.Host.Value,
                Uri = uri,
                RemoteAddress = $"{context.Connection.RemoteIpAddress}:{context.Connection.RemotePort}",
                Referer = headers.Referer,
                UserAgent = headers.UserAgent,
                User = request.User,
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

    [LoggerMessage(Level = LogLevel.Warning, Message = "the store cannot be used: {Reason}")]
    private partial void LogStore(string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "unexpected failure of {Path}")]
    private partial void LogBug(string path, Exception failure);
}
