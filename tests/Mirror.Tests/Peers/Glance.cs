using System.Text.Json;

namespace Mirror.Tests.Peers;

/// <summary>Debian's OpenStack Glance with its images in a folder, without a log-in or with Keystone's.</summary>
public sealed class Glance : IAsyncDisposable
{
    /// <summary>The longest image that it takes, in bytes, unless a test says otherwise.</summary>
    public const int MaxImage = 20 << 20;

    // What glance-manage does in many steps.
    private const string Tables = """
        import sys, sqlalchemy
        from glance.db.sqlalchemy import models
        models.BASE.metadata.create_all(sqlalchemy.create_engine(sys.argv[1]))
        """;

    private readonly TempFolder _folder = new();
    private readonly int _port = Ports.Free();
    private PeerProcess? _process;

    public static Availability Availability => Availability.Of("glance-api");

    public Uri Url => new($"http://127.0.0.1:{_port}/");

    /// <param name="pasteFlavor">The pipeline, such as <c>keystone</c>; null for the one without a log-in.</param>
    /// <param name="sections">Further sections of its file.</param>
    /// <param name="maxImage">The longest image that it takes, in bytes.</param>
    public static async Task<Glance> StartAsync(string? pasteFlavor = null, string sections = "", long maxImage = MaxImage)
    {
        var glance = new Glance();
        try
        {
            var database = $"sqlite:///{glance._folder["glance.db"]}";
            await PeerProcess.RunAsync("/usr/bin/python3", ["-c", Tables, database]);
            var settings = glance._folder.Write("glance.conf", $"""
                [DEFAULT]
                bind_host = 127.0.0.1
                bind_port = {glance._port}
                workers = 0
                image_size_cap = {maxImage}
                node_staging_uri = file://{glance._folder.Folder("staging")}
                log_file = {glance._folder["log"]}
                [database]
                connection = {database}
                [glance_store]
                stores = file
                default_store = file
                filesystem_store_datadir = {glance._folder.Folder("images")}
                [paste_deploy]
                config_file = /etc/glance/glance-api-paste.ini
                flavor = {pasteFlavor}
                {sections}
                """);
            glance._process = PeerProcess.Start("glance-api", ["--config-file", settings]);
            await glance._process.UntilAnswersAsync(glance.Url);
            return glance;
        }
        catch
        {
            await glance.DisposeAsync();
            throw;
        }
    }

    /// <summary>The images of one store, with their names and states. Only without a log-in.</summary>
    /// <param name="store">The text of the object <c>mirror/glance</c>.</param>
    public async Task<List<(string Name, string Status)>> ImagesAsync(string store)
    {
        using var list = JsonDocument.Parse(await Http.Client.GetStringAsync(
            new Uri(Url, $"v2/images?limit=1000&mirror_store={store}")));
        return [.. list.RootElement.GetProperty("images").EnumerateArray()
            .Select(image => (image.GetProperty("name").GetString()!, image.GetProperty("status").GetString()!))];
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.KillAsync();
            await _process.DisposeAsync();
        }
        _folder.Dispose();
    }
}

/// <summary>One Glance without a log-in for all tests of an assembly, started by the first that asks.</summary>
public sealed class SharedGlance : IAsyncDisposable
{
    private static readonly Lazy<Task<Glance>> Started = new(() => Glance.StartAsync());

    /// <summary>The server; skips the running test where it cannot be run.</summary>
    public static Task<Glance> OrSkipAsync()
    {
        Glance.Availability.OrSkip();
        return Started.Value;
    }

    public async ValueTask DisposeAsync()
    {
        if (Started is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            await (await Started.Value).DisposeAsync();
    }
}
