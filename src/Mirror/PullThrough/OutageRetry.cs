using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Retries requests for missing content while one upstream is unavailable (<c>proxy.hold</c>), or says "later" with a short wait
/// (<c>proxy.wait_limited</c>). Downloads that get "later" for the rest of a blob wait here too. All held requests make their next attempt
/// at the same moment, so that requests for the same content share it. When a held request is cancelled, its attempts end.
/// </summary>
public sealed partial class OutageRetry(
    CachePolicies policies, UpstreamOrigin upstream, UpstreamMetrics metrics, IHostApplicationLifetime lifetime, TimeProvider time,
    ILogger<OutageRetry> log)
{
    // Few of these attempts reach an unavailable upstream: its circuit breaker refuses the others.
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);
    // For a 429 without Retry-After.
    private static readonly TimeSpan IntervalWhenLimited = TimeSpan.FromSeconds(10);
    // A request waits so many times wait_limited in all: an upstream may promise an answer soon again and again, and never send one.
    private const int MaxWaits = 12;

    private readonly CancellationToken _stopping = lifetime.ApplicationStopping;
    private readonly Lock _gate = new();
    private Task _nextWake = Task.CompletedTask;
    private int _held;

    /// <summary>How many requests and downloads wait now.</summary>
    public int Held => Volatile.Read(ref _held);

    /// <summary>Calls <paramref name="fetch"/> until it succeeds, upstream says no, the time is over, or the server stops.</summary>
    /// <exception cref="UpstreamException">
    /// The exception of the last attempt. A <c>Retry-After</c> longer than the remaining time is thrown without a wait. </exception>
    public async ValueTask<Answer<T>> RunAsync<T>(
        RepositoryName name, Func<CancellationToken, ValueTask<Answer<T>>> fetch, CancellationToken cancellationToken)
    {
        var policy = policies.Of(name);
        var started = time.GetTimestamp();
        var held = false;
        try
        {
            while (true)
                try
                {
                    return await fetch(cancellationToken);
                }
                catch (UpstreamException failure) when (WaitAfter(failure, policy, time.GetElapsedTime(started)) is var (pause, left))
                {
                    if (!held)
                        Begin(left, failure);
                    held = true;
                    await PauseAsync(pause, left, cancellationToken);
                }
        }
        finally
        {
            metrics.Waited(upstream.Label, time.GetElapsedTime(started).TotalSeconds);
            if (held)
                End();
        }
    }

    /// <summary>Waits for the next attempt of a download that upstream interrupts with "later" (429), as a held request waits.</summary>
    /// <param name="waited">How long the download has waited since upstream sent more than a few bytes.</param>
    /// <returns>How long it waited; null without a wait if a request that has waited so long would get the exception.</returns>
    public async Task<TimeSpan?> WaitAsync(
        RepositoryName name, UpstreamLimitedException limited, TimeSpan waited, CancellationToken cancellationToken)
    {
        if (WaitAfter(limited, policies.Of(name), waited) is not var (pause, left))
            return null;
        var began = time.GetTimestamp();
        Begin(left, limited);
        try
        {
            await PauseAsync(pause, left, cancellationToken);
            return time.GetElapsedTime(began);
        }
        finally
        {
            End();
        }
    }

    // How long to pause before the next attempt, and how long all further waits may take; null for no further attempt.
    private (TimeSpan Pause, TimeSpan Left)? WaitAfter(UpstreamException failure, CachePolicy policy, TimeSpan waited)
    {
        if (_stopping.IsCancellationRequested)
            return null;
        var hold = policy.Hold - waited;
        if (failure is UpstreamUnavailableException)
            return hold > TimeSpan.Zero ? (Interval, hold) : null;
        if (failure is not UpstreamLimitedException limited)
            return null;
        // A client that wants its answer fast does not wait for a limit either.
        var wait = policy.FailFast < policy.WaitLimited ? policy.FailFast.Value : policy.WaitLimited;
        // Each wait that upstream asks for has a limit, and so have all of them together.
        var (left, pause) = (Longer(hold, MaxWaits * wait - waited), limited.RetryAfter ?? IntervalWhenLimited);
        return left > TimeSpan.Zero && pause <= Longer(hold, wait) ? (pause, left) : null;
    }

    private static TimeSpan Longer(TimeSpan one, TimeSpan other) => one > other ? one : other;

    private async Task PauseAsync(TimeSpan pause, TimeSpan left, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping);
        var wake = pause <= Interval ? NextWake() : Task.Delay(pause, time, stop.Token);
        await wake.WaitAsync(left, time, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
    }

    // One timer for all held requests.
    private Task NextWake()
    {
        lock (_gate)
            return _nextWake = _nextWake.IsCompleted ? Task.Delay(Interval, time) : _nextWake;
    }

    private void Begin(TimeSpan hold, UpstreamException failure)
    {
        metrics.Held();
        if (Interlocked.Increment(ref _held) == 1)
            LogHolding(upstream.Authority, hold.TotalSeconds, failure.Message);
    }

    private void End()
    {
        metrics.Released();
        if (Interlocked.Decrement(ref _held) == 0)
            LogOver(upstream.Authority);
    }

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "requests and downloads wait for {Upstream}, up to {Seconds} s each (proxy.hold, proxy.wait_limited): {Reason}")]
    private partial void LogHolding(string upstream, double seconds, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "no request or download waits for {Upstream} any more")]
    private partial void LogOver(string upstream);
}
