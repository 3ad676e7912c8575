using Mirror.Repositories;
using Mirror.Storage;

namespace Mirror.Search;

/// <summary>
/// Finds repositories by a part of their names: in the index, where <c>search.database</c> names one that answers, or else among the names
/// of the store.
/// </summary>
public sealed class RepositorySearch(
    RepositoryNames names, SourceIndex source, ISearchIndex? index = null, SearchIndexing? indexing = null)
{
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
        if (index is not null)
            try
            {
                return await index.FindAsync(text, RepositoryNames.MaxNames, cancellationToken);
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // The names of the store are better than none. The indexing says in the log that the database is away.
            }
        return (await names.AllAsync(cancellationToken))
            .Where(name => name.ToString().Contains(text, StringComparison.OrdinalIgnoreCase) && indexing?.Wants(name) != false)
            .Select(name => new FoundRepository(name.ToString(), ""));
    }
}
