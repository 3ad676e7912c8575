using System.Globalization;
using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>Counts each request to an upstream, retries included, and reads the rate limit that the upstream reports.</summary>
public sealed class MeteringHandler(UpstreamMetrics metrics, UpstreamOrigin origin, UpstreamFigures figures, TimeProvider time)
    : DelegatingHandler
{
    // A week, in seconds.
    private const int MaxWindow = 7 * 24 * 3600;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var kind = request.Options.TryGetValue(UpstreamRequest.Kind, out var known) ? known : UpstreamKind.Other;
        var started = time.GetTimestamp();
        int? status = null;
        try
        {
            var response = await base.SendAsync(request, cancellationToken);
            status = (int)response.StatusCode;
            if (kind is UpstreamKind.Manifest && response.IsSuccessStatusCode && origin.IsSameOrigin(request.RequestUri!)
                && request.Options.TryGetValue(UpstreamRequest.Account, out var account))
            {
                // Without these headers there is no limit for this account or image.
                var (limit, remaining) = (Number(response, "ratelimit-limit"), Number(response, "ratelimit-remaining"));
                account.Observe(limit, remaining, Window(response) is { } window ? time.GetUtcNow() + window : null);
                if (!account.IsOfClient && remaining is { } left)
                    figures.Told(account.Index, limit, left);
            }
            return response;
        }
        finally
        {
            var took = time.GetElapsedTime(started);
            figures.Asked(status, took);
            metrics.Asked(origin.Label, kind, request.Method.Method, status, took.TotalSeconds);
            UpstreamTrail.Current?.Add(request.Method, request.RequestUri!, status, took);
        }
    }

    // Docker Hub writes "100;w=21600": a number of pulls, and the window in seconds.
    internal static long? Number(HttpResponseMessage response, string header) =>
        response.Headers.TryGetValues(header, out var values)
        && long.TryParse(values.First().Split(';')[0].Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : null;

    private static TimeSpan? Window(HttpResponseMessage response) =>
        response.Headers.TryGetValues("ratelimit-remaining", out var values)
        && values.First().Split(";w=") is [_, var text] && int.TryParse(text, out var seconds) && seconds is > 0 and <= MaxWindow
            ? TimeSpan.FromSeconds(seconds)
            : null;
}
