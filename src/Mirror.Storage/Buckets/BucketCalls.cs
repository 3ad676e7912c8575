using System.Security.Authentication;
using System.Xml;
using Polly;
using Polly.CircuitBreaker;

namespace Mirror.Storage.Buckets;

/// <summary>
/// Calls a bucket's service. Every call has a time limit, and every failure becomes a <see cref="StoreUnavailableException"/>. After three
/// calls in a row that found the service away, calls fail without waiting. A small probe every two seconds then finds out when the service
/// is back.
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
    private static readonly TimeSpan BucketTrust = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly ResiliencePipeline _breaker;
    private readonly CircuitBreakerManualControl _control = new();
    private readonly CancellationTokenSource _end = new();
    private readonly SingleFlight<string, bool> _lookingForBucket = new();
    private long? _bucketSeen;
    private int _failuresInARow;
    private bool _isProbing;

    protected BucketCalls(string name, TimeProvider time)
    {
        (Name, _time) = (name, time);
        _breaker = new ResiliencePipelineBuilder { TimeProvider = new SteadyTime(time) }.AddCircuitBreaker(new CircuitBreakerStrategyOptions
        {
            // Polly counts failures over a period, and not in a row. So IsLastOfARow counts them, and Polly sees them from the third one
            // on.
            ShouldHandle = call => ValueTask.FromResult(IsLastOfARow(call.Outcome.Exception)),
            FailureRatio = 0,
            MinimumThroughput = 2,
            SamplingDuration = TimeSpan.FromDays(1),
            // So long that Polly never tries a client's call to see whether the service is back: ProbeUntilBackAsync does that.
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

    /// <summary>For a small call, including its retries.</summary>
    public TimeSpan SmallLimit { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>For a call that sends bytes.</summary>
    public static TimeSpan LimitFor(long length) => TransferLimit + TimeSpan.FromSeconds(length / MinBytesPerSecond);

    /// <summary>Makes a call, unless the service is away.</summary>
    /// <param name="limit">How long the call may take, including its retries.</param>
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

    /// <summary>
    /// As <see cref="GetOrNullAsync"/>, for a call whose "not found" can also mean that the bucket does not exist. So it is believed only
    /// if the bucket, or an object in it, was found within the last two seconds; otherwise the bucket is looked for first.
    /// </summary>
    /// <inheritdoc cref="InvokeAsync" path="/exception"/>
    public async ValueTask<T?> GetOrNullInBucketAsync<T>(Func<CancellationToken, Task<T?>> call, CancellationToken cancellationToken)
        where T : class
    {
        var found = await GetOrNullAsync(call, cancellationToken);
        if (found is not null)
            _bucketSeen = _time.GetTimestamp();
        else if (_bucketSeen is not { } seen || _time.GetElapsedTime(seen) > BucketTrust)
            await _lookingForBucket.JoinOrStart(Name, async stop =>
            {
                await CheckAsync(stop);
                _bucketSeen = _time.GetTimestamp();
                return true;
            }, cancellationToken);
        return found;
    }

    /// <summary>The exception for a call that failed. Its <see cref="Exception.HResult"/> says if the store is full.</summary>
    public StoreUnavailableException Unavailable(Exception failure)
    {
        StoreUnavailableException unavailable = new($"{Name} {Describe(failure)}", failure);
        if (KindOf(failure) is CallFailure.Full)
            unavailable.HResult = StoreFailures.NoSpaceLeft;
        return unavailable;
    }

    /// <summary>The exception for a container that does not exist, if this process does not create containers.</summary>
    public StoreUnavailableException WithoutContainer() =>
        new($"{Name}: there is no such container: create it, or set the key 'container' to another one") { IsContainerMissing = true };

    /// <summary>The exception for an answer that is no list. Taken for an empty list, it would say that the store has nothing.</summary>
    public StoreUnavailableException NoList() =>
        new($"{Name} sent no list: another server, or a proxy in front of the store, answers at this address.");

    /// <summary>The exception for a success that does not say, as the service does, that an object is stored.</summary>
    public StoreUnavailableException NotConfirmed(string key) => new(
        $"{Name} did not confirm that it stored {key}: another server, or a proxy in front of the store, answers at this address.");

    /// <summary>What follows a prefix in a name that the service lists.</summary>
    /// <exception cref="StoreUnavailableException">The name begins otherwise: the service answered another request.</exception>
    public string After(string prefix, string? listed) => listed?.StartsWith(prefix, StringComparison.Ordinal) == true
        ? listed[prefix.Length..]
        : throw new StoreUnavailableException($"{Name} was asked for what begins with \"{prefix}\", and lists \"{listed}\".");

    /// <summary>What a list shows, each once: a service, or something in front of it, may show a page twice.</summary>
    public static List<T> Once<T>(IEnumerable<T> listed) => [.. listed.Distinct()];

    /// <summary>Where the next page of a list begins, as the service said.</summary>
    /// <param name="asked">Where the page that it answered with begins; null for the first page.</param>
    /// <exception cref="StoreUnavailableException">The service names no place or the same one again: the list would never end.</exception>
    public string Next(string? asked, string? next) => next is { Length: > 0 } && next != asked
        ? next
        : throw new StoreUnavailableException(
            $"{Name} lists a page that begins at \"{asked}\", and says that the next one begins at \"{next}\": the list would never end.");

    public void Dispose()
    {
        // _end is cancelled, and not disposed: a probe may still use its token.
        _end.Cancel();
    }

    /// <summary>The meaning of an exception of the service's library. A library may throw any exception for an answer that its authors did
    /// not think of: the service is then <see cref="CallFailure.Away"/>.</summary>
    protected abstract CallFailure KindOf(Exception failure);

    /// <summary>What went wrong, as the end of a sentence that begins with the bucket's name.</summary>
    protected abstract string Describe(Exception failure);

    /// <summary>Why no answer of the service came, as the end of a sentence that begins with the bucket's name.</summary>
    protected static string Unreached(Exception failure)
    {
        for (var cause = failure; cause is not null; cause = cause.InnerException)
            switch (cause)
            {
                // The word in the message is SslStream's only sign for a peer that does not speak TLS.
                case AuthenticationException when cause.Message.Contains("frame", StringComparison.OrdinalIgnoreCase):
                    return "does not speak TLS at this address: use http, or the port of https";
                case AuthenticationException:
                    return $"cannot be reached over TLS: {cause.Message}";
                case XmlException:
                    return "sent an answer that is no XML: another server, or a proxy in front of the store, answers at this address";
            }
        return $"cannot be reached: {failure.Message}";
    }

    /// <summary>A small call that succeeds only if the address, the bucket and the credentials are correct.</summary>
    protected abstract Task ProbeAsync(CancellationToken cancellationToken);

    private CallFailure? Meaning(Exception? failure) =>
        failure is StoreUnavailableException { InnerException: { } inner } ? KindOf(inner) : null;

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
        catch (Exception failure) when (failure is not StoreUnavailableException)
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

    /// <summary>The service answered: this is not allowed, a condition is not met.</summary>
    Refused,

    /// <summary>The service answered: there is no room, or a quota is used up. It still gives what it has.</summary>
    Full,

    /// <summary>The service answered: the object does not exist.</summary>
    Missing,
}
