using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>Counts every single request that leaves for an upstream, and reads the rate limit it reports.</summary>
public sealed class MeteringHandler(RegistryMetrics metrics, UpstreamOrigin origin, TimeProvider time) : DelegatingHandler
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
            if (kind is UpstreamKind.Manifest && response.IsSuccessStatusCode && origin.IsSameOrigin(request.RequestUri!) && request.Options.TryGetValue(UpstreamRequest.Account, out var account))
            {
                // No such header: no limit for this account or image.
                account.Observe(Limit(response, "ratelimit-limit"), Limit(response, "ratelimit-remaining"));
                metrics.RecordRateLimit(origin.Authority, account.Index, Limit(response, "ratelimit-limit"), Limit(response, "ratelimit-remaining"));
            }
            return response;
        }
        finally
        {
            metrics.ObserveUpstreamRequest(kind, request.Method.Method, status, time.GetElapsedTime(started).TotalSeconds);
        }
    }

    // Docker Hub writes "100;w=21600": a number of pulls, and the window in seconds.
    private static long? Limit(HttpResponseMessage response, string header) =>
        response.Headers.TryGetValues(header, out var values)
        && long.TryParse(values.First().AsSpan() is var text && text.IndexOf(';') is >= 0 and var end ? text[..end] : text, out var number) ? number : null;
}
