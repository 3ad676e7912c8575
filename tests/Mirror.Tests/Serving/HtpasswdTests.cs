using System.Net;
using System.Net.Http.Headers;
using System.Runtime.Versioning;
using System.Text;
using Mirror.Access;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary><c>auth.htpasswd</c>, with the file that <c>htpasswd -B</c> writes.</summary>
public sealed class HtpasswdTests : IAsyncLifetime
{
    // The password is "secret", with a low cost.
    private const string Secret = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

    // The password is 72 times "a".
    private const string SeventyTwo = "$2y$05$abcdefghijklmnopqrstuuGUnCqbfgs3htOkLrFduUjAyLBw1Rq/u";

    private const string As = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    private readonly TempFolder _folder = new();
    private MirrorProcess _registry = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Users => Path.Combine(_folder.Path, "htpasswd");

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _folder.Write("htpasswd", $"""
            # people
            alice:{Secret}
            bob:{"{SHA}notbcrypt"}
            dave:{Secret.Replace("$2y$", "$2a$", StringComparison.Ordinal)}
            erin:{Secret.Replace("$2y$", "$2b$", StringComparison.Ordinal)}
            frank:{SeventyTwo}
            henry:{Secret}:a comment, as in files of nginx
            irene:{Secret.Replace("$05$", "$31$", StringComparison.Ordinal)}
            grace:{Secret.Replace("$05$", "$99$", StringComparison.Ordinal)}

            """);
        var auth = $"auth: {{htpasswd: {{realm: \"the \\\"registry\\\"\", path: {Users}}}}}";
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { More = auth });
    }

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("")]
    [InlineData("_catalog")]
    [InlineData("local/app/manifests/latest")]
    public async Task A_client_without_credentials_gets_the_challenge(string path)
    {
        using var response = await _registry.GetAsync(path);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("Basic realm=\"the \\\"registry\\\"\"", response.Headers.WwwAuthenticate.Single().ToString());
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        Assert.Contains("UNAUTHORIZED", await response.Content.ReadAsStringAsync(Cancel));
    }

    [Theory]
    [InlineData("alice:secret", HttpStatusCode.OK)]
    [InlineData("alice:wrong", HttpStatusCode.Unauthorized)]
    [InlineData("alice:secret\0x", HttpStatusCode.Unauthorized)]
    [InlineData("alice:", HttpStatusCode.Unauthorized)]
    [InlineData("carol:secret", HttpStatusCode.Unauthorized)]
    [InlineData("bob:notbcrypt", HttpStatusCode.Unauthorized)]
    [InlineData("alice", HttpStatusCode.Unauthorized)]
    [InlineData("dave:secret", HttpStatusCode.OK)]
    [InlineData("erin:secret", HttpStatusCode.OK)]
    [InlineData($"frank:{As}", HttpStatusCode.OK)]
    [InlineData($"frank:{As}and more", HttpStatusCode.OK)]
    [InlineData("frank:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", HttpStatusCode.Unauthorized)]
    [InlineData("grace:secret", HttpStatusCode.Unauthorized)]
    [InlineData("henry:secret", HttpStatusCode.OK)]
    [InlineData("irene:secret", HttpStatusCode.Unauthorized)]
    public async Task Only_the_right_password_lets_in(string credential, HttpStatusCode expected)
    {
        // Twice: the second answer may come from the cache.
        for (var i = 0; i < 2; i++)
        {
            using var response = await _registry.GetAsync("", ("Authorization", Basic(credential)));
            Assert.Equal(expected, response.StatusCode);
        }
    }

    [Fact]
    public async Task The_start_names_the_users_who_cannot_log_in() =>
        await _registry.UntilLoggedAsync(line => line.Contains("level=warning", StringComparison.Ordinal)
            && line.Contains($"{Users}: bob cannot log in: the file has SHA-1", StringComparison.Ordinal));

    [Fact]
    public async Task A_hash_whose_check_would_take_days_is_named_and_no_login_computes_it()
    {
        await _registry.UntilLoggedAsync(line => line.Contains("level=warning", StringComparison.Ordinal)
            && line.Contains($"{Users}: irene cannot log in: bcrypt with a cost above 17", StringComparison.Ordinal));
        // Each unknown name is checked against the hash of some user.
        for (var i = 0; i < 40; i++)
        {
            using var unknown = await _registry.GetAsync("", ("Authorization", Basic($"unknown{i}:secret")));
            Assert.Equal(HttpStatusCode.Unauthorized, unknown.StatusCode);
        }
    }

    [Fact]
    public void An_unknown_name_is_refused_soon_also_where_every_user_has_a_slow_hash()
    {
        var slow = _folder.Write("slow", $"alice:{Secret.Replace("$05$", "$17$", StringComparison.Ordinal)}\n");
        var file = HtpasswdFile.Read(slow);
        Assert.StartsWith("$2y$17$", file.HashFor("alice", out var isKnown));
        Assert.True(isKnown);
        Assert.StartsWith("$2y$12$", file.HashFor("bob", out isKnown));
        Assert.False(isKnown);
    }

    [Fact]
    public async Task While_the_file_is_missing_the_users_who_were_in_it_may_log_in()
    {
        File.Move(Users, Users + ".away");
        using (var response = await _registry.GetAsync("", ("Authorization", Basic("alice:secret"))))
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await Until.TrueAsync(
            () => _registry.Log.Any(line => line.Contains(
                $"{Users} does not exist; the users that were read from it", StringComparison.Ordinal)),
            () => string.Join('\n', _registry.Log));
    }

    [Theory]
    [InlineData("Registry K\u00F6ln", "Registry K?ln")]
    [InlineData("Registry\\n\U0001F433", "Registry??")]
    public async Task A_realm_may_have_any_letters(string realm, string shown)
    {
        var auth = $"auth: {{htpasswd: {{realm: \"{realm}\", path: {Users}}}}}";
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings { More = auth });
        foreach (var path in new[] { "/v2/", "/ui/" })
        {
            using var refused = await Http.Client.GetAsync(new Uri(registry.Url, path), Cancel);
            Assert.Equal((path, HttpStatusCode.Unauthorized), (path, refused.StatusCode));
            Assert.Equal($"Basic realm=\"{shown}\"", refused.Headers.NonValidated["WWW-Authenticate"].ToString());
        }
        await registry.UntilLoggedOnceAsync(line => line.Contains($"clients show \\\"{shown}\\\"", StringComparison.Ordinal));
        using var allowed = await registry.GetAsync("", ("Authorization", Basic("alice:secret")));
        Assert.Equal(HttpStatusCode.OK, allowed.StatusCode);
    }

    [Fact]
    [SupportedOSPlatform("linux")]
    public async Task Users_of_a_file_in_a_folder_of_root_may_log_in_after_the_server_has_given_up_root()
    {
        if (!Environment.IsPrivilegedProcess)
            Assert.Skip("needs root");
        var users = Path.Combine(_folder.Folder("secrets"), "htpasswd");
        File.Copy(Users, users);
        File.SetUnixFileMode(_folder["secrets"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        new DirectoryInfo(_folder.Path).UnixFileMode |= UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}/v2/");
        var config = _folder.Write("config.yml", $"""
            version: 0.1
            storage:
              filesystem:
                rootdirectory: {_folder.Folder("root")}
            http:
              addr: {url.Authority}
            auth:
              htpasswd:
                realm: r
                path: {users}
            """);
        await using var server = PeerProcess.Start("dotnet", [MirrorProcess.Program, "serve", "--drop-root", config]);
        await UntilLoggedAsync("listening on");

        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Authorization = AuthenticationHeaderValue.Parse(Basic("alice:secret"));
        using var response = await Http.Client.SendAsync(request, Cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await UntilLoggedAsync($"{users} may not be read by user ");

        Task UntilLoggedAsync(string what) => server.UntilAsync(
            () => Task.FromResult(server.Lines.Any(line => line.Contains(what, StringComparison.Ordinal))));
    }

    [Fact]
    public async Task A_file_behind_a_link_that_is_replaced_is_read_again()
    {
        // As Kubernetes replaces the file of a secret.
        File.Move(Users, Users + ".1");
        File.CreateSymbolicLink(Users, Users + ".1");
        using (var before = await _registry.GetAsync("", ("Authorization", Basic("carol:secret"))))
            Assert.Equal(HttpStatusCode.Unauthorized, before.StatusCode);
        _folder.Write("htpasswd.2", $"carol:{Secret}\n");
        File.SetLastWriteTimeUtc(Users + ".2", DateTime.UtcNow.AddSeconds(1));
        File.CreateSymbolicLink(Users + ".next", Users + ".2");
        File.Move(Users + ".next", Users, overwrite: true);
        using var after = await _registry.GetAsync("", ("Authorization", Basic("carol:secret")));
        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
    }

    [Fact]
    public async Task A_folder_in_place_of_the_file_lets_no_user_in()
    {
        // Debian's sample file of docker-registry names one.
        var auth = $"auth: {{htpasswd: {{realm: r, path: {_folder.Path}}}}}";
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings { More = auth });
        await registry.UntilLoggedAsync(line => line.Contains("no user can log in: this is a folder", StringComparison.Ordinal));
        using var response = await registry.GetAsync("", ("Authorization", Basic("alice:secret")));
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task A_user_who_is_removed_from_the_file_is_refused_at_once()
    {
        using (var before = await _registry.GetAsync("", ("Authorization", Basic("alice:secret"))))
            Assert.Equal(HttpStatusCode.OK, before.StatusCode);
        File.WriteAllText(Users, "");
        File.SetLastWriteTimeUtc(Users, DateTime.UtcNow.AddSeconds(1));
        using var after = await _registry.GetAsync("", ("Authorization", Basic("alice:secret")));
        Assert.Equal(HttpStatusCode.Unauthorized, after.StatusCode);
    }

    [Fact]
    public async Task An_emptied_file_lets_no_user_in_and_the_log_says_so()
    {
        File.WriteAllText(Users, "# no users\n");
        File.SetLastWriteTimeUtc(Users, DateTime.UtcNow.AddSeconds(1));
        using var response = await _registry.GetAsync("", ("Authorization", Basic("alice:secret")));
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        await _registry.UntilLoggedAsync(line => line.Contains("level=warning", StringComparison.Ordinal)
            && line.Contains("no user can log in", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_right_password_that_bcrypt_cuts_is_named_in_the_log()
    {
        using var response = await _registry.GetAsync("", ("Authorization", Basic($"frank:{As}and more")));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await _registry.UntilLoggedAsync(line => line.Contains("level=warning", StringComparison.Ordinal)
            && line.Contains("the password of frank has 80 bytes", StringComparison.Ordinal));
    }

    private static string Basic(string credential) =>
        new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(credential))).ToString();
}
