using Mirror.Configuration;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Keeps requests for what is not here waiting while their upstream says nothing, or later (<c>proxy.hold</c>). All whom it keeps waiting are
/// woken together, so that those who want the same thing share one attempt, and a request that nobody waits for any more is not made.
/// </summary>
public sealed partial class OutageRetry(
    ProxyOptions proxy, UpstreamOrigin upstream, RegistryMetrics metrics, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<OutageRetry> log)
{
    // An upstream that is down hears of few of these attempts: its breaker refuses the others.
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(2);
    // Where "later" comes without a time.
    private static readonly TimeSpan PaceWhenLimited = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private Task _next = Task.CompletedTask;
    private int _held;

    /// <summary>Asks, and asks again until there is an answer, the time is over or the server is about to stop.</summary>
    /// <exception cref="UpstreamException">
    /// The last answer. "Later" is passed on at once where that is behind the end of the time: waiting would bring nothing.
    /// </exception>
    public async ValueTask<T> AskAsync<TQuestion, T>(Func<TQuestion, CancellationToken, ValueTask<T>> ask, TQuestion question, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var held = false;
        try
        {
            while (true)
            {
                TimeSpan pause, left;
                try
                {
                    return await ask(question, cancellationToken);
                }
                catch (UpstreamException trouble) when (IsWorthWaiting(trouble, began, out pause, out left))
                {
                    if (!held)
                        Begin(trouble);
                    held = true;
                }
                await PauseAsync(pause, left, cancellationToken);
            }
        }
        finally
        {
            if (held)
                End();
        }
    }

    private bool IsWorthWaiting(UpstreamException trouble, long began, out TimeSpan pause, out TimeSpan left)
    {
        left = proxy.Hold - time.GetElapsedTime(began);
        pause = trouble is UpstreamLimitedException limited ? limited.RetryAfter ?? PaceWhenLimited : Pace;
        return trouble switch
        {
            UpstreamRefusedException => false,
            UpstreamLimitedException when pause > left => false,
            _ => left > TimeSpan.Zero && !lifetime.ApplicationStopping.IsCancellationRequested,
        };
    }

    private async Task PauseAsync(TimeSpan pause, TimeSpan left, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lifetime.ApplicationStopping);
        await (pause <= Pace ? Next() : Task.Delay(pause, time, stop.Token)).WaitAsync(left, time, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
    }

    // The same moment for all.
    private Task Next()
    {
        lock (_gate)
            return _next = _next.IsCompleted ? Task.Delay(Pace, time) : _next;
    }

    private void Begin(UpstreamException trouble)
    {
        metrics.RequestHeld();
        if (Interlocked.Increment(ref _held) == 1)
            LogHolding(upstream.Authority, proxy.Hold.TotalSeconds, trouble.Message);
    }

    private void End()
    {
        metrics.RequestLetGo();
        if (Interlocked.Decrement(ref _held) == 0)
            LogOver(upstream.Authority);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "requests for what is not here wait for {Upstream}, up to {Seconds} s each: {Reason}")]
    private partial void LogHolding(string upstream, double seconds, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "no request waits for {Upstream} any more")]
    private partial void LogOver(string upstream);
}
