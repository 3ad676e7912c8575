using System.Globalization;
using Microsoft.AspNetCore.Connections;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Health;
using Mirror.Limits;
using Mirror.PullThrough;
using Mirror.PullThrough.Fills;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.Registry;

/// <summary>The one place where an exception becomes an error of the protocol, and where errors are written.</summary>
public sealed partial class ErrorAnswers(
    HttpOptions http, StorageOptions storage, StoreWrites writes, RequestMetrics metrics, IHostApplicationLifetime lifetime,
    ILogger<ErrorAnswers> log)
{
    // For the client, where upstream's 429 has no Retry-After.
    private static readonly TimeSpan DefaultRetryAfter = TimeSpan.FromSeconds(60);

    private string RoomAdvice => storage.InMemory is null ? $"make room in {storage.Location}, or set proxy.max_size"
        : "raise storage.inmemory.maxsize, or delete images and collect garbage";

    /// <summary>
    /// Answers with the error of <paramref name="failure"/>. If a part of the answer was sent already, it aborts the connection instead: a
    /// client must not take a part for the whole. Never throws.
    /// </summary>
    public async Task AnswerAsync(RegistryRequest request, Exception failure)
    {
        var response = request.Http.Response;
        if (IsClientGone(request, failure))
        {
            metrics.Aborted();
            // The client gets no answer at all. In the logs and metrics it must not look like one that succeeded.
            if (!response.HasStarted)
                response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            // Otherwise the client went.
            if (lifetime.ApplicationStopping.IsCancellationRequested)
                request.Failed = new RequestFailure(
                    RegistryError.Unavailable,
                    $"this answer ended after {request.Written} bytes while the server was stopping; http.draintimeout gives it more time",
                    Advice: null);
            else if (CutOffOf(request.Http) is { } cut)
                request.Failed = new RequestFailure(
                    RegistryError.ClientTooSlow, $"the answer ended after {request.Written} bytes: {cut.Why}", cut.Advice);
            return;
        }
        var isRead = request.Http.Request.Method is "GET" or "HEAD";
        var failed = Explain(failure, isRead);
        var error = failed.Error;
        request.Failed = failed;
        if (failure is IOException { IsNoSpace: true } or IOException { IsReadOnly: true } or UnauthorizedAccessException
            && failure is not UnreadableException && !isRead)
            writes.Failed(
                $"what a client {(request.Http.Request.Method is "DELETE" ? "deleted from" : "pushed to")} {request.Route.Name}", failure,
                RepositoryName.TryParse(request.Route.Name, out var name) ? name : null);
        if (error == RegistryError.Unknown)
            LogUnexpected(request.Http.Request.Path, failure);
        if (response.HasStarted)
        {
            request.Http.Abort();
            return;
        }
        var (range, connection) = (response.Headers.ContentRange, response.Headers.Connection);
        response.Clear();
        response.StatusCode = error.Status;
        try
        {
            var (client, isHttp2) = (request.Http.Features.Get<ClientConnection>(), HttpProtocol.IsHttp2(request.Http.Request.Protocol));
            // A client that pulls has another host to ask.
            if (failure is BusyException && !isRead && client is not null)
                await client.LingerAsync(isHttp2, request.Aborted);
            ContentHeaders.SetCommon(response.Headers, http);
            (response.Headers.ContentRange, response.Headers.Connection) = (range, connection);
            if (!isHttp2)
                client?.LeaveBodyUnread(request.Http);
            foreach (var (name, value) in (failure as RegistryException)?.Headers ?? [])
                response.Headers[name] = value;
            if (failed.RetryAfter is { } wait)
                response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
            IEnumerable<object?> details = failure is not RegistryException known ? [failed.Detail]
                : known.Needed is { } needed ? [needed.Select(NeededRight.Of).ToList()]
                : known.Details;
            await JsonBody.WriteAsync(
                request, new ErrorList([.. details.Select(each => new ErrorItem(error.Code, error.Message, each))]),
                RegistryJson.Default.ErrorList);
        }
        catch (Exception unwritten)
        {
            EndUnwritten(request.Http, unwritten);
        }
    }

    /// <summary>Ends an answer whose error could not be written. The client gets the status at least, and no part of a body for the
    /// whole.</summary>
    public void EndUnwritten(HttpContext context, Exception failure)
    {
        if (failure is IOException or OperationCanceledException)
        {
            metrics.Aborted();
            return;
        }
        LogUnexpected(context.Request.Path, failure);
        if (context.Response.HasStarted)
            context.Abort();
    }

    /// <summary>
    /// Whether the client has left, so that no answer reaches it. Kestrel throws from the body of a request a moment before it cancels
    /// <see cref="RegistryRequest.Aborted"/>: see also <see cref="RequestBody"/>.
    /// </summary>
    public static bool IsClientGone(RegistryRequest request, Exception failure)
    {
        if (request.Aborted.IsCancellationRequested)
            return true;
        if (failure is not (ConnectionResetException or ConnectionAbortedException
            or OperationCanceledException { InnerException: ConnectionAbortedException }))
            return false;
        request.Http.Abort();
        return true;
    }

    // Of the request alone, as with a stream of HTTP/2, or of its connection.
    private static CutOff? CutOffOf(HttpContext http) => http.Features.Get<CutOff>() ?? http.Features.Get<ClientConnection>()?.CutOff;

    /// <summary>The error of the protocol for an exception, and what the log says of it.</summary>
    /// <param name="isRead">Whether the request only reads: a quota of a bucket is nothing to such a client.</param>
    public RequestFailure Explain(Exception failure, bool isRead) => failure switch
    {
        RegistryException known => new(known.Error, known.Detail, known.Advice),
        NewTagHeldException => new(RegistryError.Denied, failure.Message, "cooldown_new: serve lets new tags in"),
        // Where the client took more than its share, there is nothing for the operator to do.
        BusyException { IsOfClient: true } busy => new(RegistryError.TooManyRequests, failure.Message, null)
        {
            RetryAfter = busy.RetryAfter,
        },
        BusyException busy => new(RegistryError.Unavailable, failure.Message, busy.Advice) { RetryAfter = busy.RetryAfter },
        UpstreamMissingException => new(RegistryError.NameUnknown, failure.Message, null),
        UpstreamDeniedException { HasAccount: false, IsOfContent: false } denied =>
            new(RegistryError.NameUnknown, failure.Message, denied.Advice),
        UpstreamDeniedException denied => new(RegistryError.Denied, failure.Message, denied.Advice),
        UpstreamLimitedException limited => new(RegistryError.TooManyRequests, failure.Message, limited.Advice)
        {
            RetryAfter = limited.RetryAfter ?? DefaultRetryAfter,
        },
        TooManyLoginsException => new(RegistryError.TooManyRequests, failure.Message, null)
        {
            RetryAfter = TooManyLoginsException.RetryAfter,
        },
        UpstreamException unavailable => new(RegistryError.Unavailable, failure.Message, unavailable.Advice),
        DigestMismatchException => new(RegistryError.Unavailable, failure.Message, DigestMismatchException.Advice),
        ReplicaLostException => new(
            RegistryError.Unavailable, failure.Message, "see why the other replica does not answer, or cannot reach upstream"),
        // The cause that cut off the body of an answer.
        IOException { InnerException: UpstreamException or DigestMismatchException } => Explain(failure.InnerException, isRead),
        // Clients do not learn what is wrong with the store. The operator finds it in the log.
        IOException { IsOutOfFiles: true } => OfTheStore("used", failure, OpenFiles.Advice),
        IOException { IsOfTheDisk: true } =>
            OfTheStore("used", failure, $"check the disk of {storage.Location}; the kernel's log says more"),
        StoreUnavailableException { IsNoSpace: true } when isRead => OfTheStore("used", failure, RoomAdvice),
        IOException { IsNoSpace: true } => Full(RoomAdvice, failure),
        StoreUnavailableException => OfTheStore("used", failure, $"check that {storage.Location} can be reached and read"),
        UnreadableException unreadable => OfTheStore(
            "read", failure, $"give this user the right to read it: chown -R {ProcessUser.Name} {unreadable.Path}"),
        UnauthorizedAccessException when isRead => OfTheStore(
            "read", failure, $"give this user the right to read it: chown -R {ProcessUser.Name} {storage.LocalDirectory}"),
        UnauthorizedAccessException => OfTheStore(
            "written to", failure, $"give this user the right to write to it: chown -R {ProcessUser.Name} {storage.LocalDirectory}"),
        IOException { IsReadOnly: true } => OfTheStore("written to", failure, $"mount {storage.Location} for writing"),
        NoRoomException => Full($"make room in {storage.LocalDirectory}", failure),
        BadHttpRequestException bad => new(new RegistryError("UNSUPPORTED", bad.StatusCode, bad.Message), null, null),
        _ => new(RegistryError.Unknown, null, "report this error with the line before it") { Cause = failure.Message },
    };

    private static RequestFailure Full(string advice, Exception failure) =>
        new(RegistryError.StorageFull, null, advice) { Cause = failure.Message };

    private static RequestFailure OfTheStore(string how, Exception failure, string advice) =>
        new(RegistryError.Unavailable, $"the store cannot be {how} at the moment", advice) { Cause = failure.Message };

    [LoggerMessage(Level = LogLevel.Error, Message = "unexpected failure while answering {Path}")]
    private partial void LogUnexpected(string path, Exception failure);
}
