using System.Data.Common;
using Microsoft.Data.Sqlite;
using Mirror.Configuration;
using MySqlConnector;
using Npgsql;

namespace Mirror.Search;

/// <summary>What differs between the databases: how to connect, and the statements that each writes its own way.</summary>
/// <param name="Open">Makes a connection, which the library takes from its pool.</param>
/// <param name="Tables">Makes the tables of docker-registry 0.x where they are missing.</param>
/// <param name="Add">Adds the name in <c>@name</c>, unless it is there.</param>
internal sealed record SqlDialect(Func<DbConnection> Open, string[] Tables, string Add)
{
    private const int MaxConnections = 4;
    private const int ConnectSeconds = 5;
    private const int CommandSeconds = 10;

    private const string VersionTable = "create table if not exists version (id integer not null primary key)";
    private const string AddUnlessThere = "insert into repository (name, description) values (@name, '') on conflict (name) do nothing";

    public static SqlDialect Of(SearchDatabase database) => database.Kind switch
    {
        SearchDatabaseKind.MySql => MySql(database),
        SearchDatabaseKind.PostgreSql => PostgreSql(database),
        _ => Sqlite(database),
    };

    // Names have up to 255 characters. Tables of docker-registry have room for 95.
    private static string RepositoryTable(string key) =>
        $"create table if not exists repository (id {key}, name varchar(255) not null unique, description varchar(100))";

    private static SqlDialect Sqlite(SearchDatabase database)
    {
        var text = new SqliteConnectionStringBuilder { DataSource = database.Path, DefaultTimeout = CommandSeconds }.ConnectionString;
        return new(() => new SqliteConnection(text), [VersionTable, RepositoryTable("integer not null primary key")], AddUnlessThere);
    }

    private static SqlDialect MySql(SearchDatabase database)
    {
        var text = new MySqlConnectionStringBuilder
        {
            Server = database.Host,
            Port = (uint)(database.Port ?? 3306),
            UserID = database.User,
            Password = database.Password,
            Database = database.Path,
            ConnectionTimeout = ConnectSeconds,
            DefaultCommandTimeout = CommandSeconds,
            MaximumPoolSize = MaxConnections,
        }.ConnectionString;
        return new(
            () => new MySqlConnection(text), [VersionTable, RepositoryTable("integer not null primary key auto_increment")],
            "insert into repository (name, description) values (@name, '') on duplicate key update name = name");
    }

    private static SqlDialect PostgreSql(SearchDatabase database)
    {
        var text = new NpgsqlConnectionStringBuilder
        {
            Host = database.Host,
            Port = database.Port ?? 5432,
            Username = database.User,
            Password = database.Password,
            Database = database.Path,
            Timeout = ConnectSeconds,
            CommandTimeout = CommandSeconds,
            MaxPoolSize = MaxConnections,
        }.ConnectionString;
        return new(() => new NpgsqlConnection(text), [VersionTable, RepositoryTable("serial primary key")], AddUnlessThere);
    }
}
