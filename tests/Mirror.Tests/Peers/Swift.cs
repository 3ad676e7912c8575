using System.Globalization;

namespace Mirror.Tests.Peers;

/// <summary>
/// OpenStack Swift with its own log-in (tempauth) or Keystone's, and one device: five programs of Debian, with the data in a folder.
/// </summary>
public sealed class Swift : IAsyncDisposable
{
    public const string User = "mirror:user";
    public const string Password = "swordfish";
    public const string Container = "mirror";

    // What nine runs of swift-ring-builder do, each of which takes half a second.
    private const string Rings = """
        import sys
        from swift.common.ring import RingBuilder
        for server in sys.argv[2:]:
            name, port = server.split(':')
            ring = RingBuilder(2, 1, 1)
            ring.add_dev(dict(id=0, region=1, zone=1, ip='127.0.0.1', port=int(port), device='device', weight=1.0, meta='',
                              replication_ip='127.0.0.1', replication_port=int(port)))
            ring.rebalance()
            ring.get_ring().save(f'{sys.argv[1]}/{name}.ring.gz')
        """;

    // As it comes, Swift gives up on its own servers and on memcached after half a second, and then for a minute. That is too early on a
    // busy machine.
    private const string Patience = "conn_timeout = 30\nnode_timeout = 60\nerror_suppression_limit = 1000000\n";
    private const string PatienceOfCache =
        "connect_timeout = 30\npool_timeout = 30\nio_timeout = 30\nerror_suppression_limit = 1000000\n";

    // The middleware keystoneauth has one account for each project.
    private const string AccountsOfProjects = "v1/AUTH_";

    private static readonly string[] Servers = ["account", "container", "object"];

    private readonly TempFolder _folder = new();
    private readonly List<PeerProcess> _processes = [];
    private readonly int _port = Ports.Free();
    private readonly Keystone? _keystone;

    private Swift(Keystone? keystone) => _keystone = keystone;

    public static Availability Availability => Availability.Of(
        "swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "memcached");

    public Uri Url => new($"http://127.0.0.1:{_port}/");

    /// <summary>The address that gives tokens of version 1.</summary>
    public Uri AuthUrl => new(Url, "auth/v1.0");

    /// <param name="keystone">Gives the tokens, and gets this Swift into its catalogue; null for Swift's own log-in.</param>
    public static async Task<Swift> StartAsync(Keystone? keystone = null)
    {
        var swift = new Swift(keystone);
        try
        {
            await swift.StartAllAsync();
            return swift;
        }
        catch
        {
            await swift.DisposeAsync();
            throw;
        }
    }

    /// <summary>The address of the account, and a token for it.</summary>
    public async Task<(string Account, string Token)> LogInAsync()
    {
        if (_keystone is not null)
        {
            var (token, project) = await _keystone.LogInAsync();
            return ($"{Url}{AccountsOfProjects}{project}", token);
        }
        using var login = new HttpRequestMessage(HttpMethod.Get, AuthUrl);
        login.Headers.Add("X-Auth-User", User);
        login.Headers.Add("X-Auth-Key", Password);
        using var access = await Http.Client.SendAsync(login);
        access.EnsureSuccessStatusCode();
        return (access.Headers.GetValues("X-Storage-Url").Single(), access.Headers.GetValues("X-Auth-Token").Single());
    }

    /// <summary>Sends a request to the account, with a token.</summary>
    /// <param name="path">What follows the address of the account.</param>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, params (string Name, string Value)[] headers)
    {
        var (account, token) = await LogInAsync();
        using var request = new HttpRequestMessage(method, account + path);
        request.Headers.Add("X-Auth-Token", token);
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return await Http.Client.SendAsync(request);
    }

    /// <summary>The names in a container.</summary>
    public async Task<string[]> NamesAsync(string container)
    {
        using var answer = await SendAsync(HttpMethod.Get, $"/{container}");
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(_processes))
        {
            await process.KillAsync();
            await process.DisposeAsync();
        }
        _folder.Dispose();
    }

    private async Task StartAllAsync()
    {
        _folder.Folder("srv/device");
        _folder.Write("swift.conf", "[swift-hash]\nswift_hash_path_suffix = mirror\n");
        var memcached = Ports.Free().ToString(CultureInfo.InvariantCulture);
        Start("memcached", "-u", "root", "-l", "127.0.0.1", "-p", memcached, "-U", "0", "-m", "16");
        var ports = Servers.ToDictionary(server => server, _ => Ports.Free());
        await PeerProcess.RunAsync(
            "/usr/bin/python3", ["-c", Rings, _folder.Path, .. ports.Select(server => $"{server.Key}:{server.Value}")]);
        foreach (var (server, port) in ports)
            Start($"swift-{server}-server", _folder.Write($"{server}.conf",
                $"{Common(port)}[pipeline:main]\npipeline = {server}-server\n"
                + $"[app:{server}-server]\nuse = egg:swift#{server}\n{Patience}"));
        string[] filters =
        [
            "catch_errors", "proxy_logging", "listing_formats", "bulk", "tempurl", "copy", "container_quotas", "account_quotas", "slo",
            "dlo",
        ];
        var (login, loginFilters) = _keystone is null
            ? ("tempauth", $"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_{User.Replace(':', '_')} = {Password} .admin\n")
            : ("authtoken keystoneauth",
                $"[filter:authtoken]\npaste.filter_factory = keystonemiddleware.auth_token:filter_factory\n{_keystone.SettingsOfService}\n"
                + "cache = swift.cache\ndelay_auth_decision = True\n"
                + "[filter:keystoneauth]\nuse = egg:swift#keystoneauth\noperator_roles = admin\n");
        var proxy = Start("swift-proxy-server", _folder.Write("proxy.conf",
            $"{Common(_port)}[pipeline:main]\n"
            + $"pipeline = catch_errors proxy_logging cache listing_formats bulk tempurl {login} copy container_quotas account_quotas "
            + "slo dlo proxy_logging proxy-server\n[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
            + Patience
            + $"[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:{memcached}\n{PatienceOfCache}"
            + loginFilters
            + string.Concat(filters.Select(filter => $"[filter:{filter}]\nuse = egg:swift#{filter}\n"))));
        await proxy.UntilAnswersAsync(new Uri(Url, "info"));
        if (_keystone is not null)
            await _keystone.AddServiceAsync("object-store", new($"{Url}{AccountsOfProjects}$(project_id)s"));
        await proxy.UntilAsync(async () =>
        {
            using var made = await SendAsync(HttpMethod.Put, $"/{Container}");
            return made.IsSuccessStatusCode;
        });
    }

    private PeerProcess Start(string program, params string[] arguments)
    {
        var process = PeerProcess.Start(program, arguments);
        _processes.Add(process);
        return process;
    }

    private string Common(int port) =>
        $"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nuser = {Environment.UserName}\nswift_dir = {_folder.Path}\n"
        + $"devices = {_folder["srv"]}\nmount_check = false\nlog_level = ERROR\nlog_address = /dev/null\n";
}

/// <summary>One Swift for all tests of an assembly, started by the first that asks.</summary>
public sealed class SharedSwift : IAsyncDisposable
{
    private static readonly Lazy<Task<Swift>> Started = new(() => Swift.StartAsync());

    /// <summary>The cluster; skips the running test where it cannot be run.</summary>
    public static Task<Swift> OrSkipAsync()
    {
        Swift.Availability.OrSkip();
        return Started.Value;
    }

    public async ValueTask DisposeAsync()
    {
        if (Started is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            await (await Started.Value).DisposeAsync();
    }
}

/// <summary>One Swift with Keystone for all tests of an assembly, started by the first that asks.</summary>
public sealed class SharedSwiftWithKeystone : IAsyncDisposable
{
    private static readonly Lazy<Task<(Keystone, Swift)>> Started = new(StartAsync);

    /// <summary>Keystone, whose catalogue has the cluster; skips the running test where one of them cannot be run.</summary>
    public static async Task<Keystone> OrSkipAsync()
    {
        Swift.Availability.OrSkip();
        Keystone.Availability.OrSkip();
        var (keystone, _) = await Started.Value;
        return keystone;
    }

    public async ValueTask DisposeAsync()
    {
        if (Started is not { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            return;
        var (keystone, swift) = await Started.Value;
        await swift.DisposeAsync();
        await keystone.DisposeAsync();
    }

    private static async Task<(Keystone, Swift)> StartAsync()
    {
        var keystone = await Keystone.StartAsync();
        try
        {
            return (keystone, await Swift.StartAsync(keystone));
        }
        catch
        {
            await keystone.DisposeAsync();
            throw;
        }
    }
}
