using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Http.Resilience;
using Mirror.Storage;
using Mirror.Telemetry;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;

namespace Mirror.Upstream;

/// <summary>
/// The handlers of one upstream that know no credentials: retries, a time limit for each attempt and circuit breakers for each host, until
/// the response headers. <see cref="UpstreamContent"/> resumes bodies; nothing is retried here after the headers. An answer that is slow is
/// waited for (<c>proxy.response_timeout</c>): a second attempt would only give the host more to do.
/// </summary>
internal static class UpstreamHandlers
{
    // Redirects name hosts, and the registry of pipelines only grows. Later hosts take over the pipelines of earlier ones; a circuit
    // breaker that is open for the earlier host then refuses the later one for 10 s at most.
    private const int MaxHosts = 256;

    // Most outages are short: the first break is a second, and each further one is twice as long as the one before.
    private const double FirstBreak = 1;
    private const double MaxBreak = 10;

    // After a break, one request is sent as a trial, and all others fail until its answer comes. A slow answer is no failure: when the
    // trial has surely connected, the others are sent as well.
    private static readonly TimeSpan MaxTrial = UpstreamConnections.ConnectTimeout + TimeSpan.FromSeconds(1);

    /// <summary>
    /// Adds an HTTP client with these handlers. They live as long as the server; the innermost handler renews its connections.
    /// </summary>
    /// <param name="client">A name that no other upstream uses.</param>
    public static void Add(IServiceCollection services, string client, UpstreamOrigin origin, UpstreamTls tls)
    {
        // The outermost handler first.
        var builder = services.AddHttpClient(client)
            .ConfigurePrimaryHttpMessageHandler(() => new ProxyLogin(UpstreamConnections.Create(origin, tls)))
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan)
            .RemoveAllLoggers();
        if (origin.RequestsPerSecond is { } perSecond)
            builder.AddHttpMessageHandler(() => new PacingHandler(origin, perSecond));
        builder
            .AddHttpMessageHandler(provider =>
                new AvailabilityHandler(origin, provider.GetRequiredKeyedService<UpstreamState>(origin)));
        builder
            .AddResilienceHandler("attempts", (pipeline, context) =>
                Configure(
                    pipeline, origin, context.ServiceProvider.GetRequiredKeyedService<UpstreamState>(origin).Troubles,
                    context.ServiceProvider.GetRequiredService<TimeProvider>()))
            .SelectPipelineBy(_ => PipelineKeys());
        builder.AddHttpMessageHandler(() => new ClosedHeadHandler());
        builder.AddHttpMessageHandler(provider =>
            new MeteringHandler(
                provider.GetRequiredService<UpstreamMetrics>(), origin, provider.GetRequiredKeyedService<UpstreamState>(origin).Figures,
                provider.GetRequiredService<TimeProvider>()));
        builder.AddHttpMessageHandler(() => new RepeatedLengthHandler());
    }

    /// <summary>By authority, with a bounded number of different keys.</summary>
    internal static Func<HttpRequestMessage, string> PipelineKeys()
    {
        var keys = new ConcurrentDictionary<string, string>();
        var last = 0;
        return request =>
        {
            if (keys.Count >= MaxHosts)
                keys.Clear();
            return keys.GetOrAdd(request.RequestUri!.Authority, _ =>
                ((uint)Interlocked.Increment(ref last) % MaxHosts).ToString(CultureInfo.InvariantCulture));
        };
    }

    private static void Configure(
        ResiliencePipelineBuilder<HttpResponseMessage> pipeline, UpstreamOrigin origin, UpstreamTroubles troubles, TimeProvider time)
    {
        var broken = new PredicateBuilder<HttpResponseMessage>()
            // The outgoing proxy would refuse the same login again, and may lock it.
            .Handle<HttpRequestException>(static failure => failure is not ProxyRefusedException)
            .HandleResult(UpstreamAnswers.IsFailure);
        pipeline.TimeProvider = new SteadyTime(time);
        // Every attempt is in our own metrics, and every failure in our own log.
        pipeline.TelemetryListener = null;
        pipeline
            .AddRetry(new RetryStrategyOptions<HttpResponseMessage>
            {
                ShouldHandle = broken,
                MaxRetryAttempts = 2,
                BackoffType = DelayBackoffType.Exponential,
                Delay = TimeSpan.FromMilliseconds(200),
                UseJitter = true,
            })
            .AddPipeline(Breakers(troubles, pipeline.TimeProvider))
            .AddStrategy(_ => new HungHost(time), new OwnOptions())
            .AddTimeout(origin.ResponseTimeout);
    }

    /// <summary>The circuit breakers of one host. While one is open, requests fail with <see cref="BrokenCircuitException"/>.</summary>
    internal static ResiliencePipeline<HttpResponseMessage> Breakers(UpstreamTroubles troubles, TimeProvider time)
    {
        // If a connection takes too long, the exception is a cancellation with a TimeoutException inside. There is no second attempt:
        // clients would not wait for it.
        var noConnection = new PredicateBuilder<HttpResponseMessage>()
            .Handle<HttpRequestException>(static failure => !UpstreamRequest.IsCut(failure))
            .HandleInner<TimeoutException>();
        var failure = new PredicateBuilder<HttpResponseMessage>()
            .Handle<HttpRequestException>()
            .HandleInner<TimeoutException>()
            .HandleResult(UpstreamAnswers.IsFailure);
        // A host that cannot be connected to costs a time-out for each attempt, so the breaker for it opens after few. A host that answers
        // 5xx, or resets connections, may do so for some paths only: the breaker of all failures waits for more.
        var options = Breaker(failure, minimumThroughput: 6, troubles, time);
        var failures = Pipeline(time).AddCircuitBreaker(options).Build();
        var noConnections = Pipeline(time).AddCircuitBreaker(Breaker(noConnection, minimumThroughput: 3, troubles, time)).Build();
        var both = Pipeline(time).AddPipeline(noConnections).AddPipeline(failures).Build();
        return Pipeline(time)
            .AddStrategy(_ => new HostBreakers(noConnections, failures, both, options.StateProvider!, time), new OwnOptions())
            .Build();
    }

    private static ResiliencePipelineBuilder<HttpResponseMessage> Pipeline(TimeProvider time) =>
        new() { TimeProvider = time, TelemetryListener = null };

    private static CircuitBreakerStrategyOptions<HttpResponseMessage> Breaker(
        PredicateBuilder<HttpResponseMessage> failures, int minimumThroughput, UpstreamTroubles troubles, TimeProvider time)
    {
        var (state, control, trials) = (new CircuitBreakerStateProvider(), new CircuitBreakerManualControl(), 0);
        return new()
        {
            StateProvider = state,
            ManualControl = control,
            OnHalfOpened = _ =>
            {
                var ending = EndTrialAsync(++trials);
                return ValueTask.CompletedTask;
            },
            ShouldHandle = failures,
            FailureRatio = 0.8,
            MinimumThroughput = minimumThroughput,
            SamplingDuration = TimeSpan.FromSeconds(30),
            BreakDurationGenerator = open => ValueTask.FromResult(
                TimeSpan.FromSeconds(Math.Min(FirstBreak * Math.Pow(2, open.HalfOpenAttempts), MaxBreak))),
            OnOpened = opened =>
            {
                if (opened.Context.GetRequestMessage()?.RequestUri is { } url)
                    troubles.BreakerOpened(url.Authority, opened.BreakDuration);
                return ValueTask.CompletedTask;
            },
            OnClosed = closed =>
            {
                if (closed.Context.GetRequestMessage()?.RequestUri is { } url)
                    troubles.BreakerClosed(url.Authority);
                return ValueTask.CompletedTask;
            },
        };

        async Task EndTrialAsync(int trial)
        {
            await Task.Delay(MaxTrial, time);
            if (state.CircuitState == CircuitState.HalfOpen && trial == trials)
                await control.CloseAsync();
        }
    }

    private sealed class OwnOptions : ResilienceStrategyOptions;
}
