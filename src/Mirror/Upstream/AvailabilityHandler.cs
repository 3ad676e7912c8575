using System.Net;
using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>
/// Records in <c>mirror_upstream_up</c> whether the upstream answered. Stands around the retries: what counts is how they ended.
/// </summary>
public sealed class AvailabilityHandler(UpstreamOrigin origin, UpstreamMetrics metrics) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var isUp = false;
        try
        {
            var response = await base.SendAsync(request, cancellationToken);
            isUp = response.StatusCode < HttpStatusCode.InternalServerError;
            return response;
        }
        finally
        {
            // A CDN or another host's token service tells nothing about the upstream. Neither does a request that was cancelled without an
            // answer.
            if (origin.IsSameOrigin(request.RequestUri!) && (isUp || !cancellationToken.IsCancellationRequested))
                metrics.IsUp(origin.Label, isUp);
        }
    }
}
