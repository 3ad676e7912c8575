using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mirror.Tests.Peers;

/// <summary>Debian's OpenStack Keystone, with one user and one project, and a catalogue that a test writes.</summary>
public sealed class Keystone : IAsyncDisposable
{
    public const string User = "mirror";
    public const string Password = "swordfish";
    public const string Project = "images";

    // As Debian's keystone-wsgi-public, but with room for more than five connections that wait, which a busy machine has at once.
    private const string Server = """
        import sys
        from wsgiref.simple_server import WSGIServer, make_server
        from keystone.server.wsgi import initialize_public_application
        port = int(sys.argv.pop())
        WSGIServer.request_queue_size = 128
        make_server('127.0.0.1', port, initialize_public_application()).serve_forever()
        """;

    private readonly TempFolder _folder = new();
    private readonly int _port = Ports.Free();
    private PeerProcess? _process;

    public static Availability Availability => Availability.Of("keystone-manage");

    /// <summary>The address that gives tokens of version 3.</summary>
    public Uri AuthUrl => new($"http://127.0.0.1:{_port}/v3");

    /// <summary>The section by which Glance checks tokens.</summary>
    public string SectionOfGlance => $"[keystone_authtoken]\n{SettingsOfService}";

    /// <summary>The settings by which a service checks tokens.</summary>
    public string SettingsOfService => $"""
        www_authenticate_uri = {AuthUrl}
        auth_url = {AuthUrl}
        auth_type = password
        interface = public
        username = {User}
        password = {Password}
        project_name = {Project}
        user_domain_id = default
        project_domain_id = default
        """;

    public static async Task<Keystone> StartAsync()
    {
        var keystone = new Keystone();
        try
        {
            await keystone.StartAllAsync();
            return keystone;
        }
        catch
        {
            await keystone.DisposeAsync();
            throw;
        }
    }

    /// <summary>A token, and the name that Keystone made for the project.</summary>
    public async Task<(string Token, string ProjectId)> LogInAsync()
    {
        var login = new JsonObject
        {
            ["auth"] = new JsonObject
            {
                ["identity"] = new JsonObject
                {
                    ["methods"] = new JsonArray("password"),
                    ["password"] = new JsonObject
                    {
                        ["user"] = new JsonObject
                        {
                            ["name"] = User,
                            ["password"] = Password,
                            ["domain"] = new JsonObject { ["id"] = "default" },
                        },
                    },
                },
                ["scope"] = new JsonObject
                {
                    ["project"] = new JsonObject { ["name"] = Project, ["domain"] = new JsonObject { ["id"] = "default" } },
                },
            },
        };
        using var access = await PostAsync("auth/tokens", login);
        var token = JsonNode.Parse(await access.Content.ReadAsStringAsync())!["token"]!;
        return (access.Headers.GetValues("X-Subject-Token").Single(), (string)token["project"]!["id"]!);
    }

    /// <summary>Adds a service to the catalogue.</summary>
    /// <param name="address">In it, <c>$(project_id)s</c> stands for the name that Keystone made for the project.</param>
    public async Task AddServiceAsync(string type, Uri address)
    {
        var (token, _) = await LogInAsync();
        var service = await AddAsync("services", new() { ["service"] = new JsonObject { ["type"] = type, ["name"] = type } });
        await AddAsync("endpoints", new()
        {
            ["endpoint"] = new JsonObject
            {
                ["interface"] = "public",
                ["service_id"] = (string?)service["service"]!["id"],
                ["url"] = address.OriginalString,
            },
        });

        async Task<JsonNode> AddAsync(string path, JsonObject body)
        {
            using var answer = await PostAsync(path, body, token);
            return JsonNode.Parse(await answer.Content.ReadAsStringAsync()) ?? throw new JsonException("null");
        }
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

    private async Task<HttpResponseMessage> PostAsync(string path, JsonObject body, string? token = null)
    {
        for (var attempts = 1; ; attempts++)
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, $"{AuthUrl}/{path}") { Content = Content(body) };
                if (token is not null)
                    request.Headers.Add("X-Auth-Token", token);
                return (await Http.Client.SendAsync(request)).EnsureSuccessStatusCode();
            }
            // On a very busy machine Keystone closes a connection without an answer now and then. A service that is there twice does no
            // harm.
            catch (HttpRequestException cut) when (cut.StatusCode is null && attempts < 5)
            {
            }
    }

    // Its server reads no body in chunks.
    private static StringContent Content(JsonObject body) => new(body.ToJsonString(), Encoding.UTF8, "application/json");

    private async Task StartAllAsync()
    {
        var settings = _folder.Write("keystone.conf", $"""
            [DEFAULT]
            log_file = {_folder["log"]}
            [database]
            connection = sqlite:///{_folder["keystone.db"]}
            # As it comes, each login and each check of a service takes half a second of a processor.
            [identity]
            password_hash_rounds = 4
            [fernet_tokens]
            key_repository = {_folder.Folder("fernet")}
            [credential]
            key_repository = {_folder.Folder("credential")}
            """);
        await ManageAsync("db_sync");
        await ManageAsync("fernet_setup", "--keystone-user", Environment.UserName, "--keystone-group", Environment.UserName);
        await ManageAsync(
            "bootstrap", "--bootstrap-username", User, "--bootstrap-password", Password, "--bootstrap-project-name", Project,
            "--bootstrap-public-url", AuthUrl.OriginalString);
        _process = PeerProcess.Start("/usr/bin/python3", ["-c", Server, $"{_port}"],
            new Dictionary<string, string> { ["OS_KEYSTONE_CONFIG_FILES"] = settings });
        await _process.UntilAnswersAsync(AuthUrl);

        Task<string> ManageAsync(params string[] arguments) =>
            PeerProcess.RunAsync("keystone-manage", ["--config-file", settings, .. arguments]);
    }
}
