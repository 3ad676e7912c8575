using System.Collections.Concurrent;

namespace Mirror.Storage;

/// <summary>
/// Many callers, one piece of work. Callers that ask for a key while its work runs get the result of that work, or its exception. A caller
/// that leaves does not cancel the work.
/// </summary>
public sealed class SingleFlight<TKey, TResult> where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, Lazy<Task<TResult>>> _running = new();

    /// <summary>The result of the work, and whether the work was already running.</summary>
    /// <param name="work">Gets a token that is never cancelled, so it must limit its own time.</param>
    public async Task<(TResult Result, bool Joined)> JoinOrStart(
        TKey key, Func<CancellationToken, Task<TResult>> work, CancellationToken cancellationToken)
    {
        Lazy<Task<TResult>>? own = null;
        own = new Lazy<Task<TResult>>(() => RunAsync(key, own!, work));
        var flight = _running.GetOrAdd(key, own);
        return (await flight.Value.WaitAsync(cancellationToken), flight != own);
    }

    private async Task<TResult> RunAsync(TKey key, Lazy<Task<TResult>> self, Func<CancellationToken, Task<TResult>> work)
    {
        // Leave the caller's stack first: the entry must be in the dictionary before it is removed.
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
