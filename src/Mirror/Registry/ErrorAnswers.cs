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
            // Otherwise the client went.
            if (lifetime.ApplicationStopping.IsCancellationRequested)
                request.Failed = new RequestFailure(
                    RegistryError.Unavailable,
                    $"this answer ended after {request.Written} bytes while the server was stopping; http.draintimeout gives it more time",
                    Advice: null);
            return;
        }
        var failed = Explain(failure);
        var error = failed.Error;
        request.Failed = failed;
        if (failure is IOException { IsNoSpace: true } or IOException { IsReadOnly: true } or UnauthorizedAccessException
            && request.Http.Request.Method is not ("GET" or "HEAD"))
            writes.Failed($"what a client pushed to {request.Route.Name}", failure);
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
            ContentHeaders.SetCommon(response.Headers, http);
            (response.Headers.ContentRange, response.Headers.Connection) = (range, connection);
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
        catch (Exception gone) when (gone is IOException or OperationCanceledException)
        {
            metrics.Aborted();
        }
        // The client gets the status at least, and no part of a body for the whole.
        catch (Exception unexpected)
        {
            LogUnexpected(request.Http.Request.Path, unexpected);
            if (response.HasStarted)
                request.Http.Abort();
        }
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

    /// <summary>The error of the protocol for an exception, and what the log says of it.</summary>
    public RequestFailure Explain(Exception failure) => failure switch
    {
        RegistryException known => new(known.Error, known.Detail, known.Advice),
        NewTagHeldException => new(RegistryError.Denied, failure.Message, "cooldown_new: serve lets new tags in"),
        // Where the client took more than its share, there is nothing for the operator to do.
        BusyException { IsOfClient: true } busy => new(RegistryError.TooManyRequests, failure.Message, null)
        {
            RetryAfter = busy.RetryAfter,
        },
        BusyException busy => new(RegistryError.Unavailable, failure.Message, busy.Advice) { RetryAfter = busy.RetryAfter },
        UpstreamRefusedException => new(RegistryError.NameUnknown, failure.Message, null),
        UpstreamDeniedException { HasAccount: false } denied => new(RegistryError.NameUnknown, failure.Message, denied.Advice),
        UpstreamDeniedException denied => new(RegistryError.Denied, failure.Message, denied.Advice),
        UpstreamLimitedException limited => new(RegistryError.TooManyRequests, failure.Message, limited.Advice)
        {
            RetryAfter = limited.RetryAfter ?? DefaultRetryAfter,
        },
        TooManyLoginsException => new(RegistryError.TooManyRequests, failure.Message, null)
        {
            RetryAfter = TooManyLoginsException.RetryAfter,
        },
        UpstreamException away => new(RegistryError.Unavailable, failure.Message, away.Advice),
        DigestMismatchException => new(RegistryError.Unavailable, failure.Message, DigestMismatchException.Advice),
        ReplicaLostException => new(RegistryError.Unavailable, failure.Message, "see why the other replica is away"),
        // The cause that cut off the body of an answer.
        IOException { InnerException: UpstreamException or DigestMismatchException } => Explain(failure.InnerException),
        // Clients do not learn what is wrong with the store. The operator finds it in the log.
        IOException { IsOutOfFiles: true } => OfTheStore("used", failure, OpenFiles.Advice),
        IOException { IsOfTheDisk: true } =>
            OfTheStore("used", failure, $"check the disk of {storage.Location}; the kernel's log says more"),
        StoreUnavailableException => OfTheStore("used", failure, $"check that {storage.Location} can be reached and read"),
        IOException { IsReadOnly: true } or UnauthorizedAccessException =>
            OfTheStore("written to", failure, $"let this user write to {storage.Location}, and mount it for writing"),
        NoRoomException => Full($"make room in {storage.LocalDirectory}", failure),
        IOException { IsNoSpace: true } => Full(
            storage.InMemory is null ? $"make room in {storage.Location}, or set proxy.max_size"
                : "raise storage.inmemory.maxsize, or delete images and collect garbage",
            failure),
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
