using Polly;
using Polly.CircuitBreaker;

namespace Mirror.Storage.Buckets;

/// <summary>
/// Calls a bucket's service. Every call has a time limit, and every failure becomes a <see cref="StoreUnavailableException"/>. After three
/// failures in a row, calls fail without waiting. A small probe every two seconds then finds out when the service is back.
/// </summary>
internal abstract class BucketCalls : IDisposable
{
    /// <summary>For a page of a list. Large buckets are slow to list.</summary>
    public static readonly TimeSpan PageLimit = TimeSpan.FromSeconds(20);

    /// <summary>For making an object of many parts.</summary>
    public static readonly TimeSpan CompletionLimit = TimeSpan.FromMinutes(2);

    private const int MaxFailures = 3;

    // A slower transfer counts as failed.
    private const int MinBytesPerSecond = 64 * 1024;

    private static readonly TimeSpan TransferLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ProbePause = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly ResiliencePipeline _breaker;
    private readonly CircuitBreakerManualControl _control = new();
    private readonly CancellationTokenSource _end = new();
    private int _failuresInARow;
    private bool _isProbing;

    protected BucketCalls(string name, TimeProvider time)
    {
        (Name, _time) = (name, time);
        _breaker = new ResiliencePipelineBuilder { TimeProvider = new SteadyTime(time) }.AddCircuitBreaker(new CircuitBreakerStrategyOptions
        {
            // Polly counts failures over a period, and not in a row. So IsLastOfARow counts them, and gives Polly only the last one.
            ShouldHandle = call => ValueTask.FromResult(IsLastOfARow(call.Outcome.Exception)),
            FailureRatio = 0,
            MinimumThroughput = 2,
            SamplingDuration = TimeSpan.FromDays(1),
            // The probe closes the circuit. A client's call would be a slow probe.
            BreakDuration = TimeSpan.FromDays(1),
            ManualControl = _control,
            OnOpened = opened =>
            {
                _ = ProbeUntilBackAsync();
                return default;
            },
        }).Build();
    }

    /// <summary>The bucket's name in messages.</summary>
    public string Name { get; }

    /// <summary>For a small call and its repetitions.</summary>
    public TimeSpan SmallLimit { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>For a call that sends bytes.</summary>
    public static TimeSpan LimitFor(long length) => TransferLimit + TimeSpan.FromSeconds(length / MinBytesPerSecond);

    /// <summary>Makes a call, unless the service is away.</summary>
    /// <param name="limit">How long the call and its repetitions may take.</param>
    /// <exception cref="StoreUnavailableException">The service did not answer, or it refused; the inner exception says why.</exception>
    public async ValueTask<T> InvokeAsync<T>(TimeSpan limit, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await _breaker.ExecuteAsync(async stop => await WithTimeLimitAsync(limit, call, stop), cancellationToken);
        }
        catch (BrokenCircuitException open)
        {
            throw new StoreUnavailableException(open.InnerException?.Message ?? $"{Name} is away.", open.InnerException?.InnerException);
        }
    }

    /// <summary>Makes the small call that succeeds only if the address, the bucket and the credentials are correct.</summary>
    /// <inheritdoc cref="InvokeAsync" path="/exception"/>
    public async ValueTask CheckAsync(CancellationToken cancellationToken) =>
        await InvokeAsync(SmallLimit, CheckOnceAsync, cancellationToken);

    /// <summary>Makes a small call; null if the service answers that the object does not exist.</summary>
    /// <inheritdoc cref="InvokeAsync" path="/exception"/>
    public async ValueTask<T?> GetOrNullAsync<T>(Func<CancellationToken, Task<T?>> call, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            return await InvokeAsync(SmallLimit, call, cancellationToken);
        }
        catch (StoreUnavailableException failure) when (Meaning(failure) is CallFailure.Missing)
        {
            return null;
        }
    }

    /// <summary>The exception for a call that failed.</summary>
    public StoreUnavailableException Unavailable(Exception failure) => new($"{Name} {Describe(failure)}", failure);

    /// <summary>What follows a prefix in a name that the service lists.</summary>
    /// <exception cref="StoreUnavailableException">The name begins otherwise: the service answered another request.</exception>
    public string After(string prefix, string? listed) => listed?.StartsWith(prefix, StringComparison.Ordinal) == true
        ? listed[prefix.Length..]
        : throw new StoreUnavailableException($"{Name} was asked for what begins with \"{prefix}\", and lists \"{listed}\".");

    /// <summary>Where the next page of a list begins, as the service said.</summary>
    /// <param name="asked">Where the page that it answered with begins; null for the first page.</param>
    /// <exception cref="StoreUnavailableException">The service names no place or the same one again: the list would never end.</exception>
    public string Next(string? asked, string? next) => next is { Length: > 0 } && next != asked
        ? next
        : throw new StoreUnavailableException(
            $"{Name} lists a page that begins at \"{asked}\", and says that the next one begins at \"{next}\": the list would never end.");

    public void Dispose()
    {
        // Not disposed: a probe may still use its token.
        _end.Cancel();
    }

    /// <summary>The meaning of an exception of the service's library; null if it is not about the service.</summary>
    protected abstract CallFailure? Explain(Exception failure);

    /// <summary>What went wrong, as the end of a sentence that begins with the bucket's name.</summary>
    protected abstract string Describe(Exception failure);

    /// <summary>A small call that succeeds only if the address, the bucket and the credentials are correct.</summary>
    protected abstract Task ProbeAsync(CancellationToken cancellationToken);

    // If a call took too long, the exception inside is a cancellation, which the library does not explain.
    private CallFailure? Meaning(Exception? failure) =>
        failure is StoreUnavailableException { InnerException: { } inner } ? Explain(inner) ?? CallFailure.Away : null;

    private bool IsLastOfARow(Exception? failure)
    {
        if (Meaning(failure) is CallFailure.Away)
            return Interlocked.Increment(ref _failuresInARow) >= MaxFailures;
        // A call whose client disconnected says nothing about the service.
        if (failure is not OperationCanceledException)
            _failuresInARow = 0;
        return false;
    }

    private async Task ProbeUntilBackAsync()
    {
        if (Interlocked.Exchange(ref _isProbing, true))
            return;
        while (!_end.IsCancellationRequested)
            try
            {
                await Task.Delay(ProbePause, _time, _end.Token);
                await WithTimeLimitAsync(SmallLimit, CheckOnceAsync, _end.Token);
                (_failuresInARow, _isProbing) = (0, false);
                await _control.CloseAsync(CancellationToken.None);
                return;
            }
            catch (Exception)
            {
                // Without another probe the bucket would stay away for a day.
            }
    }

    private async Task<bool> CheckOnceAsync(CancellationToken cancellationToken)
    {
        await ProbeAsync(cancellationToken);
        return true;
    }

    private async ValueTask<T> WithTimeLimitAsync<T>(
        TimeSpan limit, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(limit, _time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            return await call(stop.Token);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (OperationCanceledException slow)
        {
            throw new StoreUnavailableException($"{Name} did not answer within {limit.TotalSeconds:0} s.", slow);
        }
        catch (Exception failure) when (failure is not StoreUnavailableException && Explain(failure) is not null)
        {
            throw Unavailable(failure);
        }
    }
}

/// <summary>The kind of a failed call of a bucket.</summary>
internal enum CallFailure
{
    /// <summary>The service did not answer, answered that it cannot, or does not accept the credentials at all.</summary>
    Away,

    /// <summary>The service answered: this is not allowed, there is no room, a condition is not met.</summary>
    Refused,

    /// <summary>The service answered: the object does not exist.</summary>
    Missing,
}
