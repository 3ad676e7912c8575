using Mirror.Limits;

namespace Mirror.PullThrough;

/// <summary>Limits how many requests of one kind the mirror sends to upstream at a time, and how many wait for their turn.</summary>
internal sealed class RequestSlots : IDisposable
{
    private const int MaxAtOnce = 8;
    private const int MaxWaiting = 256;
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _slots = new(MaxAtOnce);
    private int _waiting;

    /// <summary>Sends a request in its turn.</summary>
    /// <exception cref="BusyException">Too many requests wait already.</exception>
    public async Task<T> SendAsync<T>(Func<Task<T>> request)
    {
        if (Interlocked.Increment(ref _waiting) > MaxWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            throw new BusyException(
                $"{MaxWaiting} repositories and logins wait to be checked at their registry; try again later", RetryAfter,
                "see why upstream answers slowly; no key sets this limit");
        }
        try
        {
            await _slots.WaitAsync();
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
        try
        {
            return await request();
        }
        finally
        {
            _slots.Release();
        }
    }

    public void Dispose() => _slots.Dispose();
}
