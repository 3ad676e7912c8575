namespace Mirror.Registry;

/// <summary>
/// Limits the requests that read the names of all repositories: at most one at a time for every two processors. So many such requests leave
/// the other processors to other clients.
/// </summary>
public sealed class RepositoryWalks : IDisposable
{
    private readonly SemaphoreSlim _turns = new(Math.Max(1, Environment.ProcessorCount / 2));

    /// <summary>Waits for a turn, which ends when the result is disposed.</summary>
    public async ValueTask<IDisposable> EnterAsync(CancellationToken cancellationToken)
    {
        await _turns.WaitAsync(cancellationToken);
        return new Turn(_turns);
    }

    public void Dispose() => _turns.Dispose();

    private sealed class Turn(SemaphoreSlim turns) : IDisposable
    {
        public void Dispose() => turns.Release();
    }
}
