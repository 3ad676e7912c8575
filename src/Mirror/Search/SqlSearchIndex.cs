using System.Data.Common;
using System.Globalization;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Search;

/// <summary>The tables of docker-registry 0.x in a database: <c>version</c> with the row 1, and <c>repository</c>.</summary>
public sealed class SqlSearchIndex : ISearchIndex
{
    private const long Version = 1;
    // The room for a name in tables of docker-registry 0.x.
    private const int OldMaxName = 95;

    private readonly SqlDialect _dialect;

    public SqlSearchIndex(SearchDatabase database) => (_dialect, Name) = (SqlDialect.Of(database), database.ToString());

    public string Name { get; }

    public Task PrepareAsync(CancellationToken cancellationToken) => TwiceAsync(async connection =>
    {
        foreach (var table in _dialect.Tables)
            await ExecuteAsync(connection, table, [], cancellationToken);
        await using var read = Command(connection, "select max(id) from version", []);
        var version = await read.ExecuteScalarAsync(cancellationToken);
        if (version is null or DBNull)
            await ExecuteAsync(connection, $"insert into version (id) values ({Version})", [], cancellationToken);
        else if (Convert.ToInt64(version, CultureInfo.InvariantCulture) is not Version and var other)
            throw new InvalidDataException($"the tables in {Name} have version {other}, and this server knows version {Version} only");
        return true;
    }, cancellationToken);

    public Task<IReadOnlyList<RepositoryName>> AddAsync(
        IReadOnlyCollection<RepositoryName> names, CancellationToken cancellationToken) => TwiceAsync(async connection =>
    {
        List<RepositoryName> tooLong = [];
        foreach (var name in names)
            try
            {
                await ExecuteAsync(connection, _dialect.Add, [("@name", name.ToString())], cancellationToken);
            }
            catch (DbException) when (name.ToString().Length > OldMaxName)
            {
                tooLong.Add(name);
            }
        return (IReadOnlyList<RepositoryName>)tooLong;
    }, cancellationToken);

    public Task RemoveAsync(RepositoryName name, CancellationToken cancellationToken) => TwiceAsync(
        connection => ExecuteAsync(
            connection, "delete from repository where name = @name", [("@name", name.ToString())], cancellationToken),
        cancellationToken);

    public Task<IReadOnlyList<FoundRepository>> FindAsync(string text, int count, CancellationToken cancellationToken) =>
        TwiceAsync(async connection =>
        {
            await using var command = Command(
                connection,
                "select name, description from repository where lower(name) like @text escape '!' "
                + "or lower(description) like @text escape '!' order by name limit @count",
                [("@text", $"%{Escaped(text)}%"), ("@count", count)]);
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            List<FoundRepository> found = [];
            while (await rows.ReadAsync(cancellationToken))
                found.Add(new(rows.GetString(0), rows.IsDBNull(1) ? "" : rows.GetString(1)));
            return (IReadOnlyList<FoundRepository>)found;
        }, cancellationToken);

    // A connection of the pool may have been closed by the server since it was used last.
    private async Task<T> TwiceAsync<T>(Func<DbConnection, Task<T>> run, CancellationToken cancellationToken)
    {
        try
        {
            return await OnceAsync();
        }
        catch (DbException) when (!cancellationToken.IsCancellationRequested)
        {
            return await OnceAsync();
        }

        async Task<T> OnceAsync()
        {
            await using var connection = _dialect.Open();
            await connection.OpenAsync(cancellationToken);
            return await run(connection);
        }
    }

    private static async Task<int> ExecuteAsync(
        DbConnection connection, string text, (string Name, object Value)[] parameters, CancellationToken cancellationToken)
    {
        await using var command = Command(connection, text, parameters);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static DbCommand Command(DbConnection connection, string text, (string Name, object Value)[] parameters)
    {
        var command = connection.CreateCommand();
        command.CommandText = text;
        foreach (var (name, value) in parameters)
        {
            var parameter = command.CreateParameter();
            (parameter.ParameterName, parameter.Value) = (name, value);
            command.Parameters.Add(parameter);
        }
        return command;
    }

    private static string Escaped(string text) => text.ToLowerInvariant().Replace("!", "!!", StringComparison.Ordinal)
        .Replace("%", "!%", StringComparison.Ordinal).Replace("_", "!_", StringComparison.Ordinal);
}
