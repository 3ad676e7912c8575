using Mirror.Configuration;

namespace Mirror.Telemetry;

/// <summary>
/// The line of the application log for each request: <c>registry:2</c>'s <c>response completed</c> with its fields, and one of ours,
/// <c>cache</c>, which names the source of the content. The line leaves out null and empty values.
/// </summary>
public static class RequestLog
{
    private static readonly EventId Event = new(1, "ResponseCompleted");

    /// <summary>Writes the line at the request's own level. Costs nothing where that level is off.</summary>
    public static void Completed(ILogger logger, in CompletedRequest request)
    {
        if (logger.IsEnabled(request.Level))
            logger.Log(request.Level, Event, FieldsOf(request), null, request.ErrorCode is null
                ? static (_, _) => "response completed"
                : static (_, _) => "response completed with error");
    }

    private static KeyValuePair<string, object?>[] FieldsOf(in CompletedRequest request) =>
    [
        new("http.request.id", request.Id),
        new("http.request.xrequestid", request.ClientId),
        new("http.request.method", request.Method),
        new("http.request.host", request.Host),
        new("http.request.uri", request.Uri),
        new("http.request.remoteaddr", $"{request.RemoteAddress}:{request.RemotePort}"),
        new("http.request.referer", request.Referer),
        new("http.request.useragent", request.UserAgent),
        new("http.response.status", request.Status),
        new("http.response.written", request.Written),
        new("http.response.contenttype", request.ContentType),
        new("http.response.duration", GoDuration.Format(request.Duration)),
        new("http.response.seconds", request.Seconds),
        new("vars.name", request.Name),
        new("vars.reference", request.Reference),
        new("vars.digest", request.Digest),
        new("vars.uuid", request.Upload),
        new("auth.user.name", request.User),
        new("auth.user.refused", request.RefusedUser),
        new("err.code", request.ErrorCode),
        new("err.message", request.ErrorMessage),
        new("err.detail", request.ErrorDetail),
        new("advice", request.Advice),
        new("cache", request.Cache?.Label),
    ];
}
