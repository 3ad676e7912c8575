using System.Globalization;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.PullThrough.Fills;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.Registry;

/// <summary>The one place where an exception becomes an error of the protocol, and where errors are written.</summary>
public sealed partial class ErrorAnswers(HttpOptions http, RequestMetrics metrics, ILogger<ErrorAnswers> log)
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
        if (request.Aborted.IsCancellationRequested)
        {
            metrics.Aborted();
            return;
        }
        var (error, detail, retryAfter) = ToRegistryError(failure);
        request.Failed = (error, detail);
        if (failure is IOException { IsOfTheStore: true } or UnauthorizedAccessException)
            LogStoreFailure(failure.Message);
        if (error == RegistryError.Unknown)
            LogUnexpected(request.Http.Request.Path, failure);
        if (response.HasStarted)
        {
            request.Http.Abort();
            return;
        }
        var (range, connection) = (response.Headers.ContentRange, response.Headers.Connection);
        response.Clear();
        ContentHeaders.SetCommon(response.Headers, http);
        (response.Headers.ContentRange, response.Headers.Connection) = (range, connection);
        foreach (var (name, value) in (failure as RegistryException)?.Headers ?? [])
            response.Headers[name] = value;
        if (retryAfter is { } wait)
            response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        response.StatusCode = error.Status;
        try
        {
            IEnumerable<object?> details = failure is not RegistryException known ? [detail]
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
    }

    private static (RegistryError Error, string? Detail, TimeSpan? RetryAfter) ToRegistryError(Exception failure) => failure switch
    {
        RegistryException known => (known.Error, known.Detail, null),
        UpstreamRefusedException refused => (RegistryError.NameUnknown, refused.Message, null),
        UpstreamDeniedException { HasAccount: false } => (RegistryError.NameUnknown, failure.Message, null),
        UpstreamDeniedException => (RegistryError.Denied, failure.Message, null),
        UpstreamLimitedException limited => (RegistryError.TooManyRequests, limited.Message, limited.RetryAfter ?? DefaultRetryAfter),
        UpstreamUnavailableException or DigestMismatchException or ReplicaLostException =>
            (RegistryError.Unavailable, failure.Message, null),
        // Clients do not learn what is wrong with the store. The operator finds it in the log.
        StoreUnavailableException or IOException { IsOutOfFiles: true } or IOException { IsOfTheDisk: true } =>
            (RegistryError.Unavailable, "the store cannot be used at the moment", null),
        IOException { IsReadOnly: true } or UnauthorizedAccessException =>
            (RegistryError.Unavailable, "the store cannot be written to at the moment", null),
        BadHttpRequestException bad => (new RegistryError("UNSUPPORTED", bad.StatusCode, bad.Message), null, null),
        IOException { InnerException: UpstreamException or DigestMismatchException } =>
            (RegistryError.Unavailable, failure.Message, null),
        IOException { IsNoSpace: true } => (RegistryError.StorageFull, null, null),
        _ => (RegistryError.Unknown, null, null),
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "the store cannot be used: {Reason}")]
    private partial void LogStoreFailure(string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "unexpected failure while answering {Path}")]
    private partial void LogUnexpected(string path, Exception failure);
}
