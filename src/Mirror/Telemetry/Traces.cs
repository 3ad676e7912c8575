using System.Diagnostics;
using Mirror.Storage;

namespace Mirror.Telemetry;

/// <summary>The spans that are ours; requests in and out have the framework's own.</summary>
public static class Traces
{
    /// <summary>The name to listen to.</summary>
    public const string SourceName = "Mirror";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>
    /// A span for a download from upstream, null when nobody listens. A download belongs to the server, so the span begins a
    /// trace of its own, linked to the request that started it. Call it inside the download's own task: upstream requests
    /// made from there become its children.
    /// </summary>
    /// <param name="askedBy">The request that started the download: its <see cref="Activity.Current"/>.</param>
    /// <param name="upstream">The upstream's host.</param>
    public static Activity? StartFill(ContentKind kind, Digest digest, RepositoryName repository, string upstream, ActivityContext askedBy)
    {
        if (!Source.HasListeners())
            return null;
        Activity.Current = null;
        return Source.StartActivity(
            ActivityKind.Internal,
            parentContext: default,
            tags:
            [
                new("mirror.kind", kind.Label),
                new("mirror.digest", digest.ToString()),
                new("mirror.repository", repository.ToString()),
                new("mirror.upstream", upstream),
            ],
            links: askedBy == default ? null : [new ActivityLink(askedBy)],
            name: "fill");
    }

    /// <summary>Ends a span begun by <see cref="StartFill"/>.</summary>
    /// <param name="error">What went wrong, in one sentence; null where nothing did.</param>
    public static void EndFill(this Activity? fill, long bytes, string? error)
    {
        if (fill is null)
            return;
        fill.SetTag("mirror.bytes", bytes);
        if (error is not null)
            fill.SetStatus(ActivityStatusCode.Error, error);
        fill.Dispose();
    }

    /// <summary>
    /// Tells the server's span what the server leaves out: what was answered, and from where. To be called before the
    /// request ends; does nothing where requests are not traced.
    /// </summary>
    /// <param name="request">The request's <see cref="Activity.Current"/>.</param>
    /// <param name="cache">Null for what is not mirrored.</param>
    public static void EndRequest(this Activity? request, RouteKind kind, string method, int status, CacheStatus? cache)
    {
        if (request is not { IsAllDataRequested: true })
            return;
        request.DisplayName = $"{method} {kind.Label}";
        request.SetTag("http.response.status_code", status);
        if (cache is { } outcome)
            request.SetTag("mirror.cache", outcome.Label);
        if (status >= 500)
            request.SetStatus(ActivityStatusCode.Error);
    }
}
