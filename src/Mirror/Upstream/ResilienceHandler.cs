using System.Collections.Concurrent;
using System.Net;
using Mirror.Telemetry;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace Mirror.Upstream;

/// <summary>
/// Retries, a timeout for each attempt and a breaker around each host, until response headers. Bodies are resumed by
/// <see cref="UpstreamContent"/>, not retried here. What came of it tells whether the upstream is up.
/// </summary>
public sealed class ResilienceHandler(UpstreamOrigin origin, RegistryMetrics metrics, TimeProvider time) : DelegatingHandler
{
    // Redirects name hosts. A breaker forgotten costs nothing but a few more attempts.
    private const int MaxHosts = 256;

    private readonly ConcurrentDictionary<string, ResiliencePipeline<HttpResponseMessage>> _pipelines = new();

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (_pipelines.Count >= MaxHosts)
            _pipelines.Clear();
        var pipeline = _pipelines.GetOrAdd(request.RequestUri!.Authority, _ => Build());
        var isUp = false;
        try
        {
            var response = await pipeline.ExecuteAsync(
                static async (attempt, stop) => await attempt.Handler.SendOnceAsync(attempt.Request, stop), (Handler: this, Request: request), cancellationToken);
            isUp = response.StatusCode < HttpStatusCode.InternalServerError;
            return response;
        }
        finally
        {
            // Neither a CDN nor a token service: they have their kinds. And nothing is learnt where the one who asked has left.
            if (origin.IsSameOrigin(request.RequestUri) && (isUp || !cancellationToken.IsCancellationRequested))
                metrics.RecordUpstreamUp(origin.Authority, isUp);
        }
    }

    private Task<HttpResponseMessage> SendOnceAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        base.SendAsync(request, cancellationToken);

    private ResiliencePipeline<HttpResponseMessage> Build()
    {
        var silence = new PredicateBuilder<HttpResponseMessage>()
            .Handle<HttpRequestException>()
            .Handle<TimeoutRejectedException>();
        var trouble = new PredicateBuilder<HttpResponseMessage>()
            .Handle<HttpRequestException>()
            .Handle<TimeoutRejectedException>()
            .HandleResult(response => response.StatusCode is HttpStatusCode.RequestTimeout or >= HttpStatusCode.InternalServerError and not HttpStatusCode.NotImplemented);
        return new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions<HttpResponseMessage>
            {
                ShouldHandle = trouble,
                MaxRetryAttempts = 2,
                BackoffType = DelayBackoffType.Exponential,
                Delay = TimeSpan.FromMilliseconds(200),
                UseJitter = true,
            })
            // Each attempt at a host that says nothing costs its timeout, so few are made; one that answers 5xx may do so for one path only.
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions<HttpResponseMessage>
            {
                ShouldHandle = silence,
                FailureRatio = 0.8,
                MinimumThroughput = 3,
                SamplingDuration = TimeSpan.FromSeconds(30),
                BreakDuration = TimeSpan.FromSeconds(10),
            })
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions<HttpResponseMessage>
            {
                ShouldHandle = trouble,
                FailureRatio = 0.8,
                MinimumThroughput = 6,
                SamplingDuration = TimeSpan.FromSeconds(30),
                BreakDuration = TimeSpan.FromSeconds(10),
            })
            // Clients give us 30 s until response headers, so two attempts must fit with room to answer from the cache.
            .AddTimeout(TimeSpan.FromSeconds(10))
            .Build();
    }
}
