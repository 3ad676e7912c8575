using Mirror.Repositories;
using Mirror.Storage;

namespace Mirror.Search;

/// <summary>
/// Finds repositories by a part of their names: in the index, where <c>search.database</c> names one that answers, or else among the names
/// of the store.
/// </summary>
public sealed class RepositorySearch(
    RepositoryNames names, SourceIndex source, TimeProvider time, ISearchIndex? index = null, SearchIndexing? indexing = null)
{
    // How long a database that failed is not asked. Then one search asks it, and the others do not wait for that.
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly ChangeSignal _failure = new();
    private long? _failedAt;
    private bool _isTrying;

    /// <summary>The repositories that hold a text, with those of <c>search.source_index</c>, which take the place of equal names.</summary>
    /// <param name="count">How many the client wants at most.</param>
    /// <param name="isAllowed">Whether the client may list a repository.</param>
    public async Task<IReadOnlyList<FoundRepository>> FindAsync(
        string text, int count, Func<RepositoryName, ValueTask<bool>> isAllowed, CancellationToken cancellationToken)
    {
        List<FoundRepository> found = [];
        var fromSource = source.FindAsync(text, count, cancellationToken);
        foreach (var each in await OwnAsync(text, cancellationToken))
        {
            if (found.Count >= count)
                break;
            if (RepositoryName.TryParse(each.Name, out var name) && await isAllowed(name))
                found.Add(each);
        }
        foreach (var each in await fromSource)
            if (found.FindIndex(own => own.Name == each.Name) is >= 0 and var same)
                found[same] = each;
            else if (found.Count < count)
                found.Add(each);
        return found;
    }

    private async Task<IEnumerable<FoundRepository>> OwnAsync(string text, CancellationToken cancellationToken)
    {
        // The names of the store are better than none. The indexing says in the log that the database does not answer.
        if (index is not null && await AskAsync(index, text).WaitAsync(cancellationToken) is { } found)
            return found;
        return (await names.AllAsync(cancellationToken))
            .Where(name => name.ToString().Contains(text, StringComparison.OrdinalIgnoreCase) && indexing?.Wants(name) != false)
            .Select(name => new FoundRepository(name.ToString(), ""));
    }

    // Null if the database does not answer. The first failure ends the wait of all that ask it.
    private async Task<IReadOnlyList<FoundRepository>?> AskAsync(ISearchIndex asked, string text)
    {
        Task failure;
        lock (_gate)
        {
            if (_failedAt is { } at)
            {
                if (_isTrying || time.GetElapsedTime(at) < Rest)
                    return null;
                _isTrying = true;
            }
            failure = _failure.Next;
        }
        var attempt = AttemptAsync(asked, text);
        return await Task.WhenAny(attempt, failure) == attempt ? await attempt : null;
    }

    private async Task<IReadOnlyList<FoundRepository>?> AttemptAsync(ISearchIndex asked, string text)
    {
        try
        {
            var found = await asked.FindAsync(text, RepositoryNames.MaxNames, CancellationToken.None);
            lock (_gate)
                (_failedAt, _isTrying) = (null, false);
            return found;
        }
        catch (Exception)
        {
            lock (_gate)
                (_failedAt, _isTrying) = (time.GetTimestamp(), false);
            _failure.Raise();
            return null;
        }
    }
}
