namespace Mirror.Storage.Buckets;

/// <summary>
/// Whether the bucket is away. After a few failures in a row it counts as such: nobody else waits for it, and one question at a time, which is
/// nobody's, tells when it is back.
/// </summary>
/// <param name="probe">Asks the bucket whether it can be used; throws where it cannot.</param>
internal sealed class Breaker(TimeProvider time, Func<CancellationToken, Task> probe) : IDisposable
{
    private const int MaxFailures = 3;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource _end = new();
    private readonly Lock _gate = new();
    private int _failures;
    private volatile StoreUnavailableException? _away;

    /// <exception cref="StoreUnavailableException">The bucket is away; this is why.</exception>
    public void ThrowIfAway()
    {
        if (_away is { } reason)
            throw new StoreUnavailableException(reason.Message, reason.InnerException);
    }

    /// <summary>The bucket answered, be it that it has not got what was asked for.</summary>
    public void Succeeded() => Volatile.Write(ref _failures, 0);

    /// <summary>The bucket gave no answer, or took us for somebody whom it does not know.</summary>
    public void Failed(StoreUnavailableException reason)
    {
        lock (_gate)
        {
            if (++_failures < MaxFailures || _away is not null || _end.IsCancellationRequested)
                return;
            _away = reason;
        }
        _ = ProbeAsync();
    }

    public void Dispose()
    {
        // Not disposed of: a probe may still ask for its token.
        _end.Cancel();
    }

    private async Task ProbeAsync()
    {
        while (true)
            try
            {
                await Task.Delay(Pause, time, _end.Token);
                await probe(_end.Token);
                lock (_gate)
                    (_away, _failures) = (null, 0);
                return;
            }
            catch (StoreUnavailableException reason)
            {
                _away = reason;
            }
            catch (OperationCanceledException)
            {
                return;
            }
    }
}
