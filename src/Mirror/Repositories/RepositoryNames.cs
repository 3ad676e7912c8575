using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>
/// The names of the repositories, kept in memory for searches. They are read from the store when a search needs them and the last reading
/// is half a minute old. The name of a repository that this process got by a push is added at once.
/// </summary>
public sealed class RepositoryNames(IReferenceStore references, TimeProvider time)
{
    /// <summary>How many names are kept; others are not found.</summary>
    public const int MaxNames = 100_000;

    private static readonly TimeSpan Life = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private HashSet<RepositoryName> _pushed = [];
    private Task<List<RepositoryName>>? _reading;
    private long _begun;

    /// <summary>The names, in the order of the store, and after them those that were pushed since.</summary>
    public async ValueTask<IReadOnlyList<RepositoryName>> AllAsync(CancellationToken cancellationToken)
    {
        Task<List<RepositoryName>> reading;
        lock (_gate)
        {
            if (_reading is null || _reading.IsCompleted && (!_reading.IsCompletedSuccessfully || time.GetElapsedTime(_begun) > Life))
            {
                _begun = time.GetTimestamp();
                _pushed = [];
                // It belongs to all who wait, and to none.
                _reading = Task.Run(ReadAsync, CancellationToken.None);
            }
            reading = _reading;
        }
        var names = await reading.WaitAsync(cancellationToken);
        lock (_gate)
            return _pushed.Count == 0 ? names : [.. names, .. _pushed.Except(names)];
    }

    /// <summary>Adds the name of a repository that a client has pushed to.</summary>
    public void Add(RepositoryName name)
    {
        lock (_gate)
            if (_reading is not null && _pushed.Count < MaxNames)
                _pushed.Add(name);
    }

    private async Task<List<RepositoryName>> ReadAsync()
    {
        List<RepositoryName> names = [];
        await foreach (var name in references.ListRepositoriesAsync(CancellationToken.None))
        {
            names.Add(name);
            if (names.Count == MaxNames)
                break;
        }
        return names;
    }
}
