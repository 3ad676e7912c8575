using System.Threading.RateLimiting;

namespace Mirror.Upstream;

/// <summary>
/// Sends an upstream at most so many requests a second (<c>requests_per_second</c>); the others wait in order, for as long as their clients
/// do. Requests to hosts that upstream redirects to are not counted.
/// </summary>
public sealed class PacingHandler(UpstreamOrigin origin, int perSecond) : DelegatingHandler
{
    // Requests may arrive at upstream with shorter pauses between them than those in which they were sent.
    private const double Margin = 1.02;

    // The shortest period that a timer keeps; above a hundred requests a second, several go at once.
    private static readonly TimeSpan MinPeriod = TimeSpan.FromMilliseconds(10);

    private readonly TokenBucketRateLimiter _limiter = new(Options(perSecond));

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (origin.IsSameOrigin(request.RequestUri!))
            using (await _limiter.AcquireAsync(1, cancellationToken))
            {
            }
        return await base.SendAsync(request, cancellationToken);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _limiter.Dispose();
        base.Dispose(disposing);
    }

    private static TokenBucketRateLimiterOptions Options(int perSecond)
    {
        var period = TimeSpan.FromSeconds(Margin / perSecond);
        var atOnce = period < MinPeriod ? (int)Math.Ceiling(MinPeriod / period) : 1;
        return new()
        {
            TokenLimit = atOnce,
            TokensPerPeriod = atOnce,
            ReplenishmentPeriod = period * atOnce,
            // Each request that waits has a client, and the number of clients has its own limit.
            QueueLimit = int.MaxValue,
        };
    }
}
