using Mirror.Configuration;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>How long a client is kept waiting for upstream's first answer (<c>proxy.fail_fast</c>). What was asked goes on without it.</summary>
public sealed class Patience(ProxyOptions proxy, TimeProvider time)
{
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
}
