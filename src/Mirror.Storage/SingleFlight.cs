using System.Collections.Concurrent;

namespace Mirror.Storage;

/// <summary>
/// Many callers, one piece of work: whoever asks for a key while its work runs gets the outcome of that work, good or bad. The work belongs to
/// nobody who asked: a caller that leaves does not end it.
/// </summary>
public sealed class SingleFlight<TKey, TResult> where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, Lazy<Task<TResult>>> _running = new();

    /// <summary>The outcome of the work, and whether it was already running.</summary>
    /// <param name="work">Gets a token that nobody cancels: it must bound its own time.</param>
    public async Task<(TResult Result, bool Joined)> JoinOrStart(TKey key, Func<CancellationToken, Task<TResult>> work, CancellationToken cancellationToken)
    {
        Lazy<Task<TResult>>? own = null;
        own = new Lazy<Task<TResult>>(() => RunAsync(key, own!, work));
        var flight = _running.GetOrAdd(key, own);
        return (await flight.Value.WaitAsync(cancellationToken), flight != own);
    }

    private async Task<TResult> RunAsync(TKey key, Lazy<Task<TResult>> self, Func<CancellationToken, Task<TResult>> work)
    {
        // Off the caller's stack first, so that the entry is in place before it is removed.
        await Task.Yield();
        try
        {
            return await work(CancellationToken.None);
        }
        finally
        {
            _running.TryRemove(new(key, self));
        }
    }
}
