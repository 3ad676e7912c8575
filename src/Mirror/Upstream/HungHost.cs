using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace Mirror.Upstream;

/// <summary>
/// Refuses requests to a host that hangs: for a minute it has answered none of at least two requests. It still sends one request every ten
/// seconds, and any answer to it ends the refusals. A host that answers other requests is only slow, and gets all requests.
/// </summary>
internal sealed class HungHost(TimeProvider time) : ResilienceStrategy<HttpResponseMessage>
{
    private const int MinRequests = 2;

    private static readonly TimeSpan MaxSilence = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan ProbePause = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    // When the requests that wait now were sent, the oldest first.
    private readonly LinkedList<long> _waiting = [];
    // How many requests since the last answer have given up after a minute or at their time limit, and when the last one did.
    private int _gaveUp;
    private long _gaveUpAt;
    private long _silentSince;
    private long? _probedAt;

    protected override async ValueTask<Outcome<HttpResponseMessage>> ExecuteCore<TState>(
        Func<ResilienceContext, TState, ValueTask<Outcome<HttpResponseMessage>>> callback, ResilienceContext context, TState state)
    {
        if (Enter() is not { } request)
            return Outcome.FromException<HttpResponseMessage>(new BrokenCircuitException("The host has answered nothing for a minute."));
        var outcome = await callback(context, state);
        Leave(request, outcome.Exception);
        return outcome;
    }

    private LinkedListNode<long>? Enter()
    {
        lock (_gate)
        {
            if (_waiting.Count == 0 && (_gaveUp == 0 || time.GetElapsedTime(_gaveUpAt) > MaxSilence))
                (_gaveUp, _silentSince) = (0, time.GetTimestamp());
            if (Hangs())
            {
                if (_probedAt is { } probed && time.GetElapsedTime(probed) < ProbePause)
                    return null;
                _probedAt = time.GetTimestamp();
            }
            return _waiting.AddLast(time.GetTimestamp());
        }
    }

    private bool Hangs() => time.GetElapsedTime(_silentSince) >= MaxSilence
        && _gaveUp + _waiting.TakeWhile(sent => time.GetElapsedTime(sent) >= MaxSilence).Take(MinRequests).Count() >= MinRequests;

    private void Leave(LinkedListNode<long> request, Exception? failure)
    {
        lock (_gate)
        {
            _waiting.Remove(request);
            if (failure is TimeoutRejectedException
                || failure is OperationCanceledException && time.GetElapsedTime(request.Value) >= MaxSilence)
                (_gaveUp, _gaveUpAt) = (_gaveUp + 1, time.GetTimestamp());
            // A request that was cancelled earlier does not show whether the host hangs. Any other end is an answer, or a failure that the
            // circuit breakers count.
            else if (failure is not OperationCanceledException)
                (_gaveUp, _silentSince) = (0, time.GetTimestamp());
        }
    }
}
