using Mirror.Storage;

namespace Mirror.Repositories;

/// <summary>
/// Lets one request at a time change the links and tags of a repository, so that a delete never removes content that the server has just
/// reported to a push as stored. Readers and uploads take no lock.
/// </summary>
public sealed class RepositoryLocks : IDisposable
{
    // Repositories share locks; otherwise each requested name would need its own for ever.
    private readonly SemaphoreSlim[] _locks = [.. Enumerable.Range(0, 256).Select(_ => new SemaphoreSlim(1, 1))];

    /// <summary>Waits for the repository's lock. Dispose the result to release it.</summary>
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
