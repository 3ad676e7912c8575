using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>Counts each request to an upstream, retries included, and reads the rate limit that the upstream reports.</summary>
public sealed class MeteringHandler(UpstreamMetrics metrics, UpstreamOrigin origin, TimeProvider time) : DelegatingHandler
{
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
                account.Observe(limit, remaining);
                if (!account.IsOfClient)
                    metrics.RateLimit(origin.Label, account.Index, limit, remaining);
            }
            return response;
        }
        finally
        {
            var took = time.GetElapsedTime(started);
            metrics.Asked(origin.Label, kind, request.Method.Method, status, took.TotalSeconds);
            UpstreamTrail.Current?.Add(request.Method, request.RequestUri!, status, took);
        }
    }

    // Docker Hub writes "100;w=21600": a number of pulls, and the window in seconds.
    internal static long? Number(HttpResponseMessage response, string header) =>
        response.Headers.TryGetValues(header, out var values) && long.TryParse(values.First().Split(';')[0], out var number)
            ? number
            : null;
}
