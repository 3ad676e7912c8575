using Mirror.Limits;

namespace Mirror.PullThrough;

/// <summary>Limits how many questions of one kind upstream is asked at a time, and how many wait for their turn.</summary>
internal sealed class QuestionSlots : IDisposable
{
    private const int MaxAtOnce = 8;
    private const int MaxWaiting = 256;
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _slots = new(MaxAtOnce);
    private int _waiting;

    /// <summary>Asks a question in its turn.</summary>
    /// <exception cref="BusyException">Too many questions wait already.</exception>
    public async Task<T> AskAsync<T>(Func<Task<T>> question)
    {
        if (Interlocked.Increment(ref _waiting) > MaxWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            throw new BusyException("too many repositories and logins are being checked at their registry", RetryAfter);
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
            return await question();
        }
        finally
        {
            _slots.Release();
        }
    }

    public void Dispose() => _slots.Dispose();
}
