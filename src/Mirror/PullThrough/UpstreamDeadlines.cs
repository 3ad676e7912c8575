using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>How long clients wait for an answer of one upstream. The request to upstream continues without them.</summary>
public sealed class UpstreamDeadlines(CachePolicies policies, TimeProvider time)
{
    // Requests that are answered from the cache still cause checks in the background. While these get no answer, each one begins this
    // time again.
    private static readonly TimeSpan SilenceLife = TimeSpan.FromMinutes(1);

    // When upstream last failed to answer; 0 while it answers. While set, requests with a stored copy do not wait.
    private long _silentSince;

    /// <summary>Waits for content that is not stored, at most <c>proxy.fail_fast</c>.</summary>
    /// <param name="waited">How long the client has waited already.</param>
    /// <exception cref="UpstreamUnavailableException">No answer came in time.</exception>
    public async Task<T> WaitForMissAsync<T>(
        RepositoryName name, Task<T> answer, CancellationToken cancellationToken, TimeSpan waited = default)
    {
        var limit = policies.Of(name).FailFast;
        try
        {
            var left = limit is null ? Timeout.InfiniteTimeSpan
                : limit > waited ? (limit.Value - waited).ForTimer
                : TimeSpan.Zero;
            return await answer.WaitAsync(left, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new UpstreamUnavailableException($"Upstream did not answer within {limit?.TotalSeconds} s (proxy.fail_fast).");
        }
    }

    /// <summary>Waits for news of stored content, at most <c>proxy.stale_after</c>, and not at all while upstream is silent.</summary>
    /// <param name="pages">For a list: how many of its pages have come. As long as pages come, the client waits for the next one.</param>
    /// <exception cref="UpstreamUnavailableException">No answer came in time.</exception>
    public async Task<T> WaitForRefreshAsync<T>(
        RepositoryName name, Task<T> answer, CancellationToken cancellationToken, Func<int>? pages = null)
    {
        _ = ListenAsync(answer, isTagList: pages is not null);
        var policy = policies.Of(name);
        var limit = policy.FailFast < policy.StaleAfter ? policy.FailFast.Value : policy.StaleAfter;
        while (true)
        {
            var before = pages?.Invoke();
            try
            {
                return await answer.WaitAsync(IsSilent ? TimeSpan.Zero : limit.ForTimer, time, cancellationToken);
            }
            catch (TimeoutException) when (pages?.Invoke() > before)
            {
                // A list of many pages takes its time.
            }
            catch (TimeoutException)
            {
                Volatile.Write(ref _silentSince, time.GetTimestamp());
                throw new UpstreamUnavailableException($"Upstream did not answer within {limit.TotalSeconds} s (proxy.stale_after).");
            }
        }
    }

    private bool IsSilent => Volatile.Read(ref _silentSince) is not 0 and var since && time.GetElapsedTime(since) < SilenceLife;

    private async Task ListenAsync(Task answer, bool isTagList)
    {
        await answer.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // A failure that came in time is served as stale in any case. The next request for a list of tags waits again, because only a part
        // of the list may be stored.
        if (!isTagList && answer.Exception?.InnerException is UpstreamUnavailableException)
            Volatile.Write(ref _silentSince, time.GetTimestamp());
        // The exceptions for "no" (404) and "later" (429) are answers as well. A failure of our own store says nothing about upstream.
        else if (answer.IsCompletedSuccessfully || answer.Exception?.InnerException is UpstreamException)
            Volatile.Write(ref _silentSince, 0);
    }
}
