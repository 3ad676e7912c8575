using Mirror.Configuration;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>How long clients are kept waiting for one upstream's first answer. What was asked goes on without them.</summary>
public sealed class UpstreamDeadlines(ProxyOptions proxy, TimeProvider time)
{
    // Whoever is answered without waiting has a check made behind his back, so while there are clients this is renewed until upstream answers.
    private static readonly TimeSpan SilenceLasts = TimeSpan.FromMinutes(1);

    // Upstream failed lately and has not answered since: nobody who has a copy waits for it again before it does. Zero: it answers.
    private long _silentSince;

    /// <summary>Waits for what there is no copy of, no longer than <c>proxy.fail_fast</c>.</summary>
    /// <exception cref="UpstreamUnavailableException">No answer came in time.</exception>
    public async Task<T> WaitForMissAsync<T>(Task<T> answer, CancellationToken cancellationToken)
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
    public async Task<T> WaitForRefreshAsync<T>(Task<T> answer, CancellationToken cancellationToken)
    {
        _ = ListenAsync(answer);
        var limit = proxy.FailFast < proxy.StaleAfter ? proxy.FailFast.Value : proxy.StaleAfter;
        try
        {
            return await answer.WaitAsync(IsSilent ? TimeSpan.Zero : limit, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            Volatile.Write(ref _silentSince, time.GetTimestamp());
            throw new UpstreamUnavailableException($"Upstream did not answer within {limit.TotalSeconds} s (proxy.stale_after).");
        }
    }

    private bool IsSilent => Volatile.Read(ref _silentSince) is not 0 and var since && time.GetElapsedTime(since) < SilenceLasts;

    private async Task ListenAsync(Task answer)
    {
        try
        {
            await answer;
            Volatile.Write(ref _silentSince, 0);
        }
        catch (UpstreamUnavailableException)
        {
            Volatile.Write(ref _silentSince, time.GetTimestamp());
        }
        catch (UpstreamException)
        {
            // "No" and "later" are answers.
            Volatile.Write(ref _silentSince, 0);
        }
        catch (IOException)
        {
            // Our store's trouble; whoever waits is told.
        }
    }
}
