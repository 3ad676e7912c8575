using Mirror.Storage;

namespace Mirror.Repositories;

/// <summary>
/// One change at a time to what a repository's names point at, so that a delete never takes what a push was just told it has. Readers, and
/// bytes on their way in, wait for nobody.
/// </summary>
public sealed class RepositoryLocks : IDisposable
{
    // Repositories share locks, or there would have to be one for every name that was ever asked for.
    private readonly SemaphoreSlim[] _locks = [.. Enumerable.Range(0, 256).Select(_ => new SemaphoreSlim(1, 1))];

    /// <summary>Waits for the repository's turn, which ends when the result is disposed.</summary>
    public async ValueTask<Turn> EnterAsync(RepositoryName name, CancellationToken cancellationToken)
    {
        var one = _locks[(uint)name.GetHashCode() % (uint)_locks.Length];
        await one.WaitAsync(cancellationToken);
        return new Turn(one);
    }

    public void Dispose() => Array.ForEach(_locks, one => one.Dispose());

    public readonly struct Turn(SemaphoreSlim one) : IDisposable
    {
        public void Dispose() => one.Release();
    }
}
