using System.Threading.RateLimiting;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// Sends an upstream at most so many requests a second (<c>requests_per_second</c>); the others wait in order, for as long as an answer may
/// take (<c>proxy.response_timeout</c>). Requests to hosts that upstream redirects to are not counted.
/// </summary>
public sealed class PacingHandler(UpstreamOrigin origin, int perSecond) : DelegatingHandler
{
    // Requests may arrive at upstream with shorter pauses between them than those in which they were sent.
    private const double Margin = 1.02;

    // The shortest period that a timer keeps; above a hundred requests a second, several go at once.
    private static readonly TimeSpan MinPeriod = TimeSpan.FromMilliseconds(10);

    // A request goes on although its client has left, so that the next client finds the answer. So the number of clients is no limit.
    private const int MaxWaiting = 10_000;

    private readonly TokenBucketRateLimiter _limiter = new(Options(perSecond));

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (origin.IsSameOrigin(request.RequestUri!))
            await WaitAsync(cancellationToken);
        return await base.SendAsync(request, cancellationToken);
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(origin.ResponseTimeout.ForTimer);
        try
        {
            using var turn = await _limiter.AcquireAsync(1, patience.Token);
            if (turn.IsAcquired)
                return;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // It waited for too long.
        }
        throw new UpstreamUnavailableException(
            $"too many requests wait for {origin.Authority}, which gets {perSecond} a second (requests_per_second)");
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
            QueueLimit = MaxWaiting,
        };
    }
}
