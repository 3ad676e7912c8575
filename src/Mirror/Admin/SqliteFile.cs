using System.Globalization;
using Microsoft.Data.Sqlite;
using Mirror.Storage;

namespace Mirror.Admin;

/// <summary>A file of SQLite that can be lost: a damaged one is replaced by an empty one. Any method may be called from any
/// thread.</summary>
/// <param name="schema">Makes the tables that do not exist.</param>
/// <param name="version">Counts the changes of the schema.</param>
/// <param name="drop">Removes the tables that another version made.</param>
/// <param name="requireFolder">Throws if the folder of the file is not there, because its volume is unmounted.</param>
internal sealed class SqliteFile(string file, string schema, long version, string drop, Action? requireFolder = null) : IDisposable
{
    private readonly Lock _writing = new();
    private SqliteConnection? _writer;

    /// <summary>Changes the file, in one transaction.</summary>
    /// <exception cref="IOException">The disk is full or read-only, or the file cannot be read.</exception>
    public T Write<T>(Func<SqliteConnection, T> work) => Try(() =>
    {
        lock (_writing)
        {
            requireFolder?.Invoke();
            var connection = _writer ??= Open();
            using var transaction = connection.BeginTransaction();
            var result = work(connection);
            transaction.Commit();
            return result;
        }
    });

    /// <summary>Reads the file as it was at the last change.</summary>
    /// <inheritdoc cref="Write"/>
    public T Read<T>(Func<SqliteConnection, T> work) => Try(() =>
    {
        lock (_writing)
        {
            requireFolder?.Invoke();
            _writer ??= Open();
        }
        using var connection = new SqliteConnection(Text(SqliteOpenMode.ReadWrite));
        connection.Open();
        return work(connection);
    });

    // What is wrong with the disk is an exception as of the store, which lies on the same disk.
    private T Try<T>(Func<T> work)
    {
        const int readOnly = 8, failed = 10, full = 13, cannotOpen = 14, readOnlyVolume = 30;
        try
        {
            return work();
        }
        catch (SqliteException failure) when (failure.SqliteErrorCode is readOnly or failed or full or cannotOpen)
        {
            var message = $"the index of the images cannot be used ({file}): {failure.Message}";
            throw failure.SqliteErrorCode switch
            {
                full => StoreFailures.NoSpace(message),
                readOnly => new IOException(message, readOnlyVolume),
                _ => new StoreUnavailableException(message, failure),
            };
        }
    }

    private SqliteConnection Open()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        try
        {
            return OpenOnce();
        }
        catch (SqliteException damaged) when (damaged.SqliteErrorCode is 11 or 26)
        {
            // SQLITE_CORRUPT and SQLITE_NOTADB: all of it but the uses can be read from the store again.
            SqliteConnection.ClearAllPools();
            foreach (var suffix in new[] { "", "-wal", "-shm" })
                File.Delete(file + suffix);
            return OpenOnce();
        }
    }

    private SqliteConnection OpenOnce()
    {
        var connection = new SqliteConnection(Text(SqliteOpenMode.ReadWriteCreate));
        try
        {
            connection.Open();
            using var asked = Command(connection, "pragma user_version");
            var isOther = Convert.ToInt64(asked.ExecuteScalar(), CultureInfo.InvariantCulture) != version;
            using var command = Command(
                connection, $"{(isOther ? drop : "")} {schema} {(isOther ? $"pragma user_version = {version};" : "")}");
            command.ExecuteNonQuery();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private string Text(SqliteOpenMode mode) =>
        new SqliteConnectionStringBuilder { DataSource = file, Mode = mode, DefaultTimeout = 30 }.ToString();

    public void Dispose()
    {
        lock (_writing)
            _writer?.Dispose();
        _writer = null;
        using var all = new SqliteConnection(Text(SqliteOpenMode.ReadWriteCreate));
        SqliteConnection.ClearPool(all);
    }

    internal static SqliteCommand Command(SqliteConnection connection, string text, params (string Name, object Value)[] parameters)
    {
        var command = connection.CreateCommand();
#pragma warning disable CA2100 // The texts are constants.
        command.CommandText = text;
#pragma warning restore CA2100
        foreach (var (name, value) in parameters)
            command.Parameters.AddWithValue(name, value);
        return command;
    }

    internal static void Set(SqliteCommand command, params object[] values)
    {
        for (var i = 0; i < values.Length; i++)
            command.Parameters[i].Value = values[i];
    }
}
