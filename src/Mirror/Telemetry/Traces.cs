using System.Diagnostics;
using Mirror.Storage;

namespace Mirror.Telemetry;

/// <summary>Our own spans. The framework makes the spans of requests from clients and to upstreams.</summary>
public static class Traces
{
    /// <summary>The name of our source of spans.</summary>
    public const string SourceName = "Mirror";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>
    /// Starts the span of a download from upstream; null if no spans are collected. A download belongs to the server, so its span
    /// starts a trace of its own, with a link to the request that started the download. Call it inside the task of the download: upstream
    /// requests of that task become its children.
    /// </summary>
    /// <param name="askedBy">The <see cref="Activity.Current"/> of the request that started the download.</param>
    /// <param name="upstream">The host of the upstream.</param>
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

    /// <summary>Ends a span that <see cref="StartFill"/> started.</summary>
    /// <param name="error">What went wrong, in one sentence; null after a complete download.</param>
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
    /// Adds to the span of a request what the framework leaves out: the status of the answer and the source of the content. Call it before
    /// the request ends. Does nothing if requests are not traced.
    /// </summary>
    /// <param name="request">The <see cref="Activity.Current"/> of the request.</param>
    /// <param name="cache">Null for a repository that is not mirrored.</param>
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
