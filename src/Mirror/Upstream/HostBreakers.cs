using System.Net;
using Mirror.Telemetry;
using Polly;
using Polly.CircuitBreaker;

namespace Mirror.Upstream;

/// <summary>
/// The circuit breakers of one host, and which requests the breaker of failures counts: those whose failure says that the host fails.
/// The 5xx of a HEAD does not say so, because a GET may succeed; any other answer to a HEAD says that the host works. Nor does one URL
/// which fails again and again, such as that of one broken image: by 5xx, or by a connection that is reset after it was made.
/// </summary>
/// <param name="noConnections">The breaker of requests without a connection.</param>
/// <param name="failures">The breaker of failures.</param>
/// <param name="both">The breaker of requests without a connection, and in it the breaker of failures.</param>
/// <param name="state">The state of the breaker of failures.</param>
internal sealed class HostBreakers(
    ResiliencePipeline<HttpResponseMessage> noConnections, ResiliencePipeline<HttpResponseMessage> failures,
    ResiliencePipeline<HttpResponseMessage> both, CircuitBreakerStateProvider state, TimeProvider time)
    : ResilienceStrategy<HttpResponseMessage>
{
    // As long as the breakers count.
    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    // The path that failed last, and when one failed shortly after another one.
    private string? _failed;
    private long _failedAt;
    private long? _severalAt;

    protected override async ValueTask<Outcome<HttpResponseMessage>> ExecuteCore<TState>(
        Func<ResilienceContext, TState, ValueTask<Outcome<HttpResponseMessage>>> callback, ResilienceContext context, TState arguments)
    {
        var (request, isClosed) = (context.GetRequestMessage(), state.CircuitState == CircuitState.Closed);
        if (request?.Method == HttpMethod.Head)
            // If the breaker is not closed, the host is not sent a HEAD whose answer could not close it. The GET that follows can.
            return isClosed ? await HeadAsync(callback, context, arguments)
                : Outcome.FromResult(new HttpResponseMessage(HttpStatusCode.NotImplemented) { RequestMessage = request });
        var path = PathOf(request);
        var outcome = await (isClosed && path is not null && FailsAlone(path) ? noConnections : both)
            .ExecuteOutcomeAsync(callback, context, arguments);
        if (path is not null
            && (outcome.Result is { } response && UpstreamAnswers.IsFailure(response) || UpstreamRequest.IsCut(outcome.Exception)))
            Failed(path);
        return outcome;
    }

    // A mirror that has most content hardly sends a GET. Without the answers to its HEADs, two broken images would look like a broken host.
    private async ValueTask<Outcome<HttpResponseMessage>> HeadAsync<TState>(
        Func<ResilienceContext, TState, ValueTask<Outcome<HttpResponseMessage>>> callback, ResilienceContext context, TState arguments)
    {
        var outcome = await noConnections.ExecuteOutcomeAsync(callback, context, arguments);
        // Polly's breaker counts each outcome as a success or as a failure: a 5xx does not pass through it, so it counts as neither.
        if (outcome.Result is { } response && !UpstreamAnswers.IsFailure(response) && state.CircuitState == CircuitState.Closed)
            _ = await failures.ExecuteOutcomeAsync(static (_, answer) => ValueTask.FromResult(answer), context, outcome);
        return outcome;
    }

    // Without the query, where redirects have a new signature each time. All requests to a token service have one path.
    private static string? PathOf(HttpRequestMessage? request) =>
        request is null || request.Options.TryGetValue(UpstreamRequest.Kind, out var kind) && kind is UpstreamKind.Token ? null
            : request.RequestUri!.AbsolutePath;

    private bool FailsAlone(string path)
    {
        lock (_gate)
            return _failed == path && IsRecent(_failedAt) && !(_severalAt is { } several && IsRecent(several));
    }

    private void Failed(string path)
    {
        lock (_gate)
        {
            if (_failed is not null && _failed != path && IsRecent(_failedAt))
                _severalAt = time.GetTimestamp();
            (_failed, _failedAt) = (path, time.GetTimestamp());
        }
    }

    private bool IsRecent(long at) => time.GetElapsedTime(at) < Memory;
}
