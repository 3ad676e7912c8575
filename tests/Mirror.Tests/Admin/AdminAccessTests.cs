using System.Net;
using System.Runtime.Versioning;
using System.Text.Json;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary>Who may use the API of the administrator, and from where.</summary>
public sealed class AdminAccessTests : IAsyncDisposable
{
    private const string Rules = """
        access:
          rules:
          - {who: {users: [erin]}, repositories: ["**"], actions: [pull, push, admin]}
          - {who: {users: [alice]}, repositories: ["local/a/**"], actions: [pull, push, admin]}
          - {who: {users: [mallory]}, repositories: ["**"], actions: [pull, push, delete, list]}

        """;

    private readonly TempFolder _folder = new();
    private MirrorProcess _registry = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Without_rules_only_the_token_opens_it_and_only_on_the_debug_address()
    {
        await StartAsync("");
        var login = _registry.AdminLogin;

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_registry.Debug, "images", login));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(_registry.Debug, "images", null));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(_registry.Debug, "images", $"Bearer {new string('0', 64)}"));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(_registry.Url, "images", login));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(_registry.Url, "images", null));
    }

    [Fact]
    public async Task A_method_that_a_call_does_not_have_is_answered_with_those_that_it_has()
    {
        await StartAsync("");
        using var request = new HttpRequestMessage(HttpMethod.Delete, new Uri(_registry.Debug, "/mirror/v1/images"));
        request.Headers.TryAddWithoutValidation("Authorization", _registry.AdminLogin);
        using var response = await Http.Client.SendAsync(request, Cancel);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Contains("GET", response.Content.Headers.Allow);
    }

    [Fact]
    public async Task A_verb_says_what_is_wrong_with_its_token()
    {
        await StartAsync("");
        var wrong = _folder.Write("token", new string('0', 64));
        var (code, output) = await _registry.VerbAsync("images", "--token-file", wrong);
        Assert.Equal((5, true), (code, output.Contains("the token that was sent is wrong", StringComparison.Ordinal)));

        var file = _registry.TokenFile;
        File.Move(file, file + ".away");
        (code, output) = await _registry.VerbAsync("images");
        Assert.Equal(5, code);
        Assert.Contains("no token was sent, because the file with it cannot be read", output, StringComparison.Ordinal);
        Assert.Contains(file, output, StringComparison.Ordinal);

        (code, output) = await _registry.VerbAsync("images", "--server", $"https://127.0.0.1:{_registry.Debug.Port}");
        Assert.Equal(1, code);
        Assert.Contains("does not speak TLS, so write http://", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_users_of_the_registry_may_not_use_it_without_a_rule()
    {
        await StartAsync(PasswordFile.Section(_folder));

        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(_registry.Debug, "images", PasswordFile.Basic("erin")));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(_registry.Url, "images", PasswordFile.Basic("erin")));
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public async Task The_token_is_in_a_file_that_only_the_server_reads_and_stays_over_a_restart()
    {
        await StartAsync("");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_registry.TokenFile));
        var login = _registry.AdminLogin;

        await _registry.StopAsync();
        await _registry.StartAgainAsync();
        Assert.Equal(login, _registry.AdminLogin);

        await _registry.StopAsync();
        File.SetUnixFileMode(_registry.TokenFile, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        await _registry.StartAgainAsync();
        Assert.NotEqual(login, _registry.AdminLogin);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(_registry.Debug, "images", login));
    }

    [Fact]
    public async Task Rules_say_who_may_administer_what()
    {
        await StartAsync(PasswordFile.Section(_folder) + Rules);
        foreach (var name in new[] { "local/a/app", "local/b/app" })
            await PushAsync(name);

        List<string> wrong = [];
        foreach (var (user, images, a, b, server) in new[]
        {
            ("", 401, 401, 401, 401), ("erin", 200, 200, 200, 200), ("alice", 200, 200, 403, 403), ("mallory", 403, 403, 403, 403),
        })
            foreach (var (method, path, expected) in new[]
            {
                ("GET", "images", images), ("GET", "why?image=local/a/app", a), ("GET", "why?image=local/b/app", b),
                ("GET", "usage", server), ("POST", "reload", server),
            })
                foreach (var address in new[] { _registry.Url, _registry.Debug })
                {
                    var login = user == "" ? null : PasswordFile.Basic(user);
                    using var response = await AdminApi.SendAsync(address, new HttpMethod(method), path, login);
                    if ((int)response.StatusCode != expected)
                        wrong.Add($"{user} {method} {path}: {(int)response.StatusCode} instead of {expected}");
                }
        Assert.Empty(wrong);

        await _registry.ImagesAsync(list => list.Length == 2);
        using var own = await AdminApi.SendAsync(_registry.Url, HttpMethod.Get, "images", PasswordFile.Basic("alice"));
        using var json = JsonDocument.Parse(await own.Content.ReadAsStringAsync(Cancel));
        var only = Assert.Single(json.RootElement.GetProperty("images").EnumerateArray());
        Assert.Equal("local/a/app", only.GetProperty("name").GetString());
    }

    [Fact]
    public async Task A_route_that_there_is_not_is_answered_in_the_form_of_the_registry()
    {
        await StartAsync("");

        foreach (var (method, path, status) in new[] { ("GET", "nothing", 404), ("DELETE", "images", 405), ("GET", "images?n=0", 400) })
        {
            using var response = await _registry.AskAdminAsync(new HttpMethod(method), path);
            Assert.Equal(status, (int)response.StatusCode);
            using var json = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancel));
            Assert.NotEqual("", json.RootElement.GetProperty("errors")[0].GetProperty("code").GetString());
        }
    }

    [Fact]
    public async Task A_document_describes_every_route()
    {
        await StartAsync("");

        var paths = (await _registry.AdminAsync("openapi.json")).GetProperty("paths").EnumerateObject().Select(path => path.Name);
        Assert.Superset(
            new HashSet<string> { "images", "images/history", "usage", "purge", "why", "reload" },
            paths.Select(path => path["/mirror/v1/".Length..]).ToHashSet());
        await _registry.UntilLoggedOnceAsync(line => line.Contains("uri=/mirror/v1/openapi.json", StringComparison.Ordinal)
            && !line.Contains("http.response.written=0 ", StringComparison.Ordinal));
    }

    private async Task StartAsync(string more)
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { More = more });
    }

    private async Task PushAsync(string name)
    {
        var repository = new PushedRepository(_registry, name);
        var login = ("Authorization", PasswordFile.Basic("erin"));
        var config = "{}"u8.ToArray();
        using var blob = await repository.SendAsync("POST", $"blobs/uploads/?digest={Storage.Digest.Of(config)}", config, null, login);
        Assert.Equal(HttpStatusCode.Created, blob.StatusCode);
        var manifest = PushedRepository.Manifest(Storage.Digest.Of(config));
        using var response = await repository.SendAsync("PUT", "manifests/1", manifest, PushedRepository.OciManifest, login);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
    }

    private static async Task<HttpStatusCode> StatusAsync(Uri server, string path, string? login)
    {
        using var response = await AdminApi.SendAsync(server, HttpMethod.Get, path, login);
        return response.StatusCode;
    }
}
