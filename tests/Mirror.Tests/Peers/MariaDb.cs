using System.Globalization;
using MySqlConnector;

namespace Mirror.Tests.Peers;

/// <summary>Debian's mariadbd, with an empty database and a user for it.</summary>
public sealed class MariaDb : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly int _port = Ports.Free();
    private PeerProcess? _process;

    private MariaDb()
    {
    }

    public static Availability Availability => Availability.Of("mariadbd", "mariadb-install-db");

    /// <summary>The database as SQLAlchemy writes it.</summary>
    public string Url => string.Create(CultureInfo.InvariantCulture, $"mysql+pymysql://mirror:p%40ss@127.0.0.1:{_port}/index");

    public static async Task<MariaDb> StartAsync()
    {
        var server = new MariaDb();
        try
        {
            await PeerProcess.RunAsync("mariadb-install-db",
            [
                "--no-defaults", $"--datadir={server._folder["data"]}", "--skip-test-db", "--skip-name-resolve", "--user=root",
                "--auth-root-authentication-method=normal", "--innodb-log-file-size=4M",
            ]);
            await server.StartAgainAsync();
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
        return server;
    }

    public async Task StartAgainAsync()
    {
        var users = _folder.Write("users.sql", """
            create database if not exists `index`;
            create user if not exists 'mirror'@'%' identified by 'p@ss';
            grant all on `index`.* to 'mirror'@'%';
            """);
        _process = PeerProcess.Start("mariadbd",
        [
            "--no-defaults", $"--datadir={_folder["data"]}", "--bind-address=127.0.0.1", $"--port={_port}", $"--socket={_folder["sock"]}",
            $"--pid-file={_folder["pid"]}", "--user=root", "--skip-name-resolve", $"--init-file={users}", "--innodb-buffer-pool-size=8M",
            "--innodb-log-file-size=4M", "--performance-schema=0",
        ]);
        await _process.UntilAsync(async () =>
        {
            try
            {
                await QueryAsync("select 1");
                return true;
            }
            catch (MySqlException)
            {
                return false;
            }
        });
    }

    /// <summary>SIGKILL; its data stays.</summary>
    public Task KillAsync() => _process!.KillAsync();

    /// <summary>The first column of each row.</summary>
    public async Task<IReadOnlyList<string>> QueryAsync(string text)
    {
        await using var connection = new MySqlConnection(new MySqlConnectionStringBuilder
        {
            Server = "127.0.0.1",
            Port = (uint)_port,
            UserID = "mirror",
            Password = "p@ss",
            Database = "index",
            Pooling = false,
        }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new MySqlCommand(text, connection);
        await using var rows = await command.ExecuteReaderAsync();
        List<string> found = [];
        while (await rows.ReadAsync())
            found.Add(Convert.ToString(rows.GetValue(0), CultureInfo.InvariantCulture)!);
        return found;
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        _folder.Dispose();
    }
}
