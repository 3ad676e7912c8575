using Mirror.Storage;

namespace Mirror.Search;

/// <summary>A repository that a search has found.</summary>
public sealed record FoundRepository(string Name, string Description)
{
    /// <summary>What another index says of it beside the name.</summary>
    public int? Stars { get; init; }

    public bool? IsOfficial { get; init; }
}

/// <summary>Names and descriptions of repositories in a database, which several servers may share.</summary>
public interface ISearchIndex
{
    /// <summary>The database as logs show it.</summary>
    string Name { get; }

    /// <summary>Makes the tables, where they are missing.</summary>
    /// <exception cref="System.Data.Common.DbException">The database does not answer, or refuses.</exception>
    /// <exception cref="InvalidDataException">The tables are of a form that this server does not know.</exception>
    Task PrepareAsync(CancellationToken cancellationToken);

    /// <summary>Adds repositories; those that are there stay as they are.</summary>
    /// <returns>Those that the database does not take.</returns>
    /// <exception cref="System.Data.Common.DbException">The database does not answer, or refuses.</exception>
    Task<IReadOnlyList<RepositoryName>> AddAsync(IReadOnlyCollection<RepositoryName> names, CancellationToken cancellationToken);

    /// <summary>Removes a repository, if it is there.</summary>
    /// <exception cref="System.Data.Common.DbException">The database does not answer, or refuses.</exception>
    Task RemoveAsync(RepositoryName name, CancellationToken cancellationToken);

    /// <summary>The repositories whose name or description has a text, whatever its case, in the order of their names.</summary>
    /// <param name="text">Empty: all repositories. No character of it is a wildcard.</param>
    /// <exception cref="System.Data.Common.DbException">The database does not answer, or refuses.</exception>
    Task<IReadOnlyList<FoundRepository>> FindAsync(string text, int count, CancellationToken cancellationToken);
}
