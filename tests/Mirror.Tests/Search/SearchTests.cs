using System.Net;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using Mirror.Tests.Maintenance;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Search;

/// <summary>The index of search in a database: SQLite, and MariaDB for real.</summary>
public sealed class SearchTests : IDisposable
{
    private static readonly (byte[] Manifest, byte[][] Blobs) Image = Pushes.Image(1);

    private readonly TempFolder _folder = new();

    public SearchTests() => MirrorProcess.Availability.OrSkip();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_file_of_docker_registry_keeps_its_index_as_images_come_and_go()
    {
        var database = _folder["index.db"];
        // A row that docker-registry has left.
        await SqliteAsync(
            database,
            "create table version (id integer not null primary key); insert into version values (1); create table repository "
            + "(id integer not null primary key, name varchar(95) not null unique, description varchar(100)); "
            + "insert into repository (name, description) values ('library/old', 'of_the past')");
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            File = $$"""
                dev:
                  storage: local
                  storage_path: {{_folder.Folder("d")}}
                  search_backend: sqlalchemy
                  sqlalchemy_index_database: sqlite:///{{database}}
                """,
            Environment = new Dictionary<string, string> { ["REGISTRY_STORAGE_DELETE_ENABLED"] = "true" },
        });

        await PushAsync(registry, "team/app");
        await UntilFoundAsync(registry, "APP", "team/app");
        await UntilFoundAsync(registry, "", "library/old", "team/app");
        await UntilFoundAsync(registry, "of_the", "library/old");
        // They are no wildcards.
        await UntilFoundAsync(registry, "%25");
        await UntilFoundAsync(registry, "of%21");

        await Pushes.DeleteAsync(registry, "team/app", Image.Manifest);
        await UntilFoundAsync(registry, "", "library/old");
    }

    [Fact]
    public async Task Tables_of_another_version_stop_the_start()
    {
        var database = _folder["index.db"];
        await SqliteAsync(database, "create table version (id integer not null primary key); insert into version values (2)");
        var file = _folder.Write("config.yml", $$"""
            version: 0.1
            storage:
              filesystem: {rootdirectory: "{{_folder.Folder("root")}}"}
            http: {addr: "127.0.0.1:{{Ports.Free()}}"}
            search: {database: "sqlite:///{{database}}"}
            """);

        await using var server = PeerProcess.Start("dotnet", [MirrorProcess.Program, "serve", file]);

        Assert.Equal(1, await server.ExitCodeAsync());
        Assert.Contains("have version 2, and this server knows version 1 only", server.Output);
    }

    [Fact]
    public async Task A_database_that_is_away_costs_no_push_and_no_search()
    {
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = $"search: {{database: \"mysql://u:hunter2@127.0.0.1:{Ports.Free()}/index\"}}\n",
        });

        await PushAsync(registry, "team/app");

        await UntilFoundAsync(registry, "app", "team/app");
        await registry.UntilLoggedAsync(line => line.Contains("the index of search in", StringComparison.Ordinal));
        Assert.DoesNotContain(registry.Log, line => line.Contains("hunter2", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Two_servers_over_one_mariadb_find_the_images_of_each_other()
    {
        MariaDb.Availability.OrSkip();
        await using var database = await MariaDb.StartAsync();
        var settings = new MirrorSettings { More = $"search: {{database: \"{database.Url}\"}}\n" };
        await using var one = await MirrorProcess.StartAsync(settings);
        await PushAsync(one, "team/before");
        await using var other = await MirrorProcess.StartAsync(settings);
        await PushAsync(other, "team/after");

        await UntilFoundAsync(one, "TEAM", "team/after", "team/before");
        await UntilFoundAsync(other, "team", "team/after", "team/before");
        Assert.Equal(["1"], await database.QueryAsync("select id from version"));

        // What is pushed while the database is away is there once it is back.
        await database.KillAsync();
        await PushAsync(one, "team/meanwhile");
        await UntilFoundAsync(one, "meanwhile", "team/meanwhile");
        await database.StartAgainAsync();
        await UntilFoundAsync(other, "", "team/after", "team/before", "team/meanwhile");

        if (Dockerd.Availability.IsAvailable)
        {
            await using var dockerd = await Dockerd.StartAsync(other.Url);
            Assert.Contains("team/before", await dockerd.RunAsync("search", $"{other.Authority}/before"));
        }
        if (Podman.Availability.IsAvailable)
        {
            await using var podman = new Podman(other.Authority);
            Assert.Contains("team/before", await podman.RunAsync("search", "--tls-verify=false", $"{other.Authority}/before"));
        }
    }

    [Fact]
    public async Task Results_of_another_index_take_the_place_of_equal_names_and_come_behind_the_others()
    {
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}");
        string? asked = null;
        var answer = """
            {"results":[{"name":"team/app","description":"theirs","star_count":3,"is_official":true},
                {"name":"nginx","description":"w"},{"x":1}]}
            """;
        await using (await OwnServer.StartAsync(url, async http =>
        {
            asked = $"{http.Request.Path}{http.Request.QueryString} {http.Request.Headers.Authorization}";
            await http.Response.BodyWriter.WriteAsync(System.Text.Encoding.UTF8.GetBytes(answer));
        }))
        {
            await using var registry = await MirrorProcess.StartAsync(
                new MirrorSettings { More = $"search: {{source_index: \"{url}\"}}\n" });
            await PushAsync(registry, "team/app");
            await PushAsync(registry, "team/own");

            using var found = await OldConfigs.RoutesTests.GetAsync(registry, "/v1/search?q=&n=25", ("Authorization", "Basic aGk6aG8="));

            Assert.Equal(
                """{"num_results":3,"query":"","results":[{"description":"theirs","is_official":true,"name":"team/app","star_count":3},"""
                + """{"description":"","name":"team/own"},{"description":"w","name":"nginx"}]}""",
                await found.Content.ReadAsStringAsync(Cancel));
            Assert.Equal("/v1/search?q=&n=25 ", asked);

            answer = "no JSON";
            await UntilFoundAsync(registry, "", "team/app", "team/own");
        }
    }

    private static async Task PushAsync(MirrorProcess registry, string name) =>
        Assert.True(await Pushes.PushAsync(registry, name, "1", Image.Manifest, Image.Blobs));

    private static async Task UntilFoundAsync(MirrorProcess registry, string query, params string[] expected)
    {
        string[] found = [];
        await Until.TrueAsync(async () =>
        {
            using var answer = await OldConfigs.RoutesTests.GetAsync(registry, $"/v1/search?q={query}");
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            using var document = JsonDocument.Parse(await answer.Content.ReadAsByteArrayAsync(Cancel));
            found = [.. document.RootElement.GetProperty("results").EnumerateArray().Select(each => each.GetProperty("name").GetString()!)];
            return found.SequenceEqual(expected);
        }, () => $"{query}: {string.Join(", ", found)}\n{string.Join('\n', registry.Log)}");
    }

    private static async Task SqliteAsync(string file, string text)
    {
        await using var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        await connection.OpenAsync(Cancel);
        await using var command = connection.CreateCommand();
        command.CommandText = text;
        await command.ExecuteNonQueryAsync(Cancel);
    }
}
