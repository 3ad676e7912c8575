using Mirror.Configuration;
using Mirror.Upstream;
using Polly.CircuitBreaker;

namespace Mirror.PullThrough;

/// <summary>How long clients are kept waiting for one upstream's first answer. What was asked goes on without them.</summary>
public sealed class Patience(ProxyOptions proxy, TimeProvider time)
{
    // Upstream kept somebody waiting in vain and has not answered since: nobody who has a copy waits for it again before it does.
    private volatile bool _silent;

    /// <summary>Waits for what there is no copy of, no longer than <c>proxy.fail_fast</c>.</summary>
    /// <exception cref="UpstreamUnavailableException">No answer came in time.</exception>
    public async Task<T> WaitAsync<T>(Task<T> answer, CancellationToken cancellationToken)
    {
        if (proxy.FailFast is not { } limit)
            return await answer.WaitAsync(cancellationToken);
        try
        {
            return await answer.WaitAsync(limit, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new UpstreamUnavailableException($"Upstream did not answer within {limit.TotalSeconds} s (proxy.fail_fast).");
        }
    }

    /// <summary>Waits for news of what there is a copy of, no longer than <c>proxy.stale_after</c>, and not at all while upstream is silent.</summary>
    /// <exception cref="UpstreamUnavailableException">No answer came in time.</exception>
    public async Task<T> WaitBrieflyAsync<T>(Task<T> answer, CancellationToken cancellationToken)
    {
        _ = ListenAsync(answer);
        var limit = proxy.FailFast < proxy.StaleAfter ? proxy.FailFast.Value : proxy.StaleAfter;
        try
        {
            return await answer.WaitAsync(_silent ? TimeSpan.Zero : limit, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            _silent = true;
            throw new UpstreamUnavailableException($"Upstream did not answer within {limit.TotalSeconds} s (proxy.stale_after).");
        }
    }

    private async Task ListenAsync(Task answer)
    {
        try
        {
            await answer;
            _silent = false;
        }
        catch (UpstreamUnavailableException nothing)
        {
            if (nothing.InnerException is BrokenCircuitException)
                _silent = true;
        }
        catch (UpstreamException)
        {
            _silent = false;
        }
        catch (IOException)
        {
            // Our store's trouble; whoever waits is told.
        }
    }
}
