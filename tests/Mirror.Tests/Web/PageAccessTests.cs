using System.Net;
using Mirror.Storage;
using Mirror.Tests.Access;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Xunit;

namespace Mirror.Tests.Web;

/// <summary>Who sees which page, and who may do what there.</summary>
public sealed class PageAccessTests : IAsyncDisposable
{
    private const string Rules = """
        access:
          rules:
          - {who: {users: [erin]}, repositories: ["**"], actions: [pull, push, admin]}
          - {who: {users: [alice]}, repositories: ["local/a/**"], actions: [pull]}

        """;

    private static readonly string[] AllPages =
        ["", "live", "images", "why", "upstreams", "clients", "settings", "image?image=local/b/secret:1", "purge?image=local/b/secret:1"];

    private readonly TempFolder _folder = new();
    private MirrorProcess _registry = null!;

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Without_rules_each_client_sees_what_it_may_pull_and_the_token_opens_the_rest_on_the_debug_address()
    {
        await StartAsync("");
        using var anonymous = new Browser(_registry.Url);
        using var debug = new Browser(_registry.Debug);
        foreach (var page in new[] { "", "live", "images", "why" })
            await anonymous.PageAsync(page);
        foreach (var page in new[] { "upstreams", "clients", "settings" })
        {
            await anonymous.PageAsync(page, HttpStatusCode.Forbidden);
            await debug.PageAsync(page, HttpStatusCode.Forbidden);
        }

        var token = (await File.ReadAllTextAsync(_registry.TokenFile, TestContext.Current.CancellationToken)).Trim();
        Assert.Equal(HttpStatusCode.Unauthorized, await anonymous.LogInAsync("", token));
        Assert.Equal(HttpStatusCode.Unauthorized, await debug.LogInAsync("", new string('0', 64)));
        Assert.Equal(HttpStatusCode.SeeOther, await debug.LogInAsync("", token));
        foreach (var page in new[] { "upstreams", "clients", "settings" })
            await debug.PageAsync(page);
    }

    [Fact]
    public async Task With_passwords_a_browser_is_asked_by_Basic_and_users_may_change_nothing_without_a_rule()
    {
        await StartAsync(PasswordFile.Section(_folder));
        using var anonymous = new Browser(_registry.Url);
        foreach (var page in AllPages)
            using (var response = await anonymous.SendAsync(HttpMethod.Get, page, null))
            {
                Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
                Assert.Equal("Basic", response.Headers.WwwAuthenticate.Single().Scheme);
            }
        using var erin = new Browser(_registry.Url, PasswordFile.Basic("erin"));
        await erin.PageAsync("images");
        await erin.PageAsync("settings", HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task A_session_is_a_strict_cookie_that_ends_with_its_logout_and_with_a_new_password()
    {
        await StartAsync(PasswordFile.Section(_folder) + Rules);
        using var erin = new Browser(_registry.Url);
        using (var form = new FormUrlEncodedContent([new("name", "erin"), new("password", PasswordFile.Password)]))
        using (var response = await erin.SendAsync(HttpMethod.Post, "login", form))
        {
            var cookie = response.Headers.GetValues("Set-Cookie").Single();
            Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
            Assert.Contains("samesite=strict", cookie, StringComparison.OrdinalIgnoreCase);
            Assert.Contains("path=/ui", cookie, StringComparison.OrdinalIgnoreCase);
        }
        Assert.Contains("erin", await erin.PageAsync("settings"));
        Assert.Equal(HttpStatusCode.SeeOther, await erin.PostAsync("logout", "settings", []));
        await erin.PageAsync("settings", HttpStatusCode.Unauthorized);

        Assert.Equal(HttpStatusCode.Unauthorized, await erin.LogInAsync("erin", "wrong"));
        Assert.Equal(HttpStatusCode.SeeOther, await erin.LogInAsync("erin", PasswordFile.Password));
        await erin.PageAsync("settings");
        _folder.Write("htpasswd", $"erin:{BCrypt.Net.BCrypt.HashPassword("other", 4)}\n");
        await Until.TrueAsync(
            async () =>
            {
                using var response = await erin.SendAsync(HttpMethod.Get, "settings", null);
                return response.StatusCode == HttpStatusCode.Unauthorized;
            },
            () => "The session outlives its password.");
    }

    [Fact]
    public async Task What_a_client_may_not_pull_is_not_there_by_page_search_or_event()
    {
        await StartAsync(PasswordFile.Section(_folder) + Rules);
        foreach (var name in new[] { "local/a/app", "local/b/secret" })
            await PushAsync(name);
        await _registry.ImagesAsync(list => list.Length == 2);
        var upload = new PushedRepository(_registry, "local/b/secret");
        using (var begun = await upload.SendAsync("POST", "blobs/uploads/", null, null, ("Authorization", PasswordFile.Basic("erin"))))
        using (var patched = await upload.SendAsync(
            "PATCH", new Uri(_registry.Url, PushedRepository.Location(begun)).ToString(), [1, 2, 3], "application/octet-stream",
            ("Authorization", PasswordFile.Basic("erin"))))
            Assert.Equal(HttpStatusCode.Accepted, patched.StatusCode);

        using var alice = new Browser(_registry.Url, PasswordFile.Basic("alice"));
        using var erin = new Browser(_registry.Url, PasswordFile.Basic("erin"));
        foreach (var page in new[] { "", "live", "images", "images?search=secret", "images?sort=size", "images?sort=pulls&search=b/" })
            Assert.DoesNotContain("local/b/secret", await alice.PageAsync(page));
        Assert.Contains("local/a/app", await alice.PageAsync("images"));
        Assert.Contains("local/b/secret", await erin.PageAsync("images?sort=size"));
        Assert.DoesNotContain("local/b/secret", await alice.FirstEventAsync());
        Assert.Contains("local/b/secret", await erin.FirstEventAsync());

        // Nor by the APIs.
        foreach (var path in new[] { "/v1/search?q=secret", "/v1/search?q=", "/v2/_catalog", "/mirror/v1/images" })
            Assert.DoesNotContain("local/b/secret", await TextAsync(path, "alice"));
        Assert.Contains("local/b/secret", await TextAsync("/mirror/v1/images", "erin"));

        // What is not for a client is answered as what there is not.
        var hidden = await alice.PageAsync("image?image=local/b/secret:1", HttpStatusCode.NotFound);
        var absent = await alice.PageAsync("image?image=local/b/nothing:1", HttpStatusCode.NotFound);
        Assert.Equal(absent, hidden);
        Assert.Equal(
            (await alice.PageAsync("why?image=local/b/nothing:1")).Replace("nothing", "secret", StringComparison.Ordinal),
            await alice.PageAsync("why?image=local/b/secret:1"));
        await alice.PageAsync("purge?image=local/a/app:1", HttpStatusCode.Forbidden);
        foreach (var action in new[] { "pin", "unpin", "purge", "warm" })
            Assert.Equal(
                HttpStatusCode.Forbidden, await alice.PostAsync(action, "image?image=local/a/app:1", [("image", "local/a/app:1")]));
    }

    [Fact]
    public async Task A_form_that_another_site_sends_does_nothing()
    {
        await StartAsync(PasswordFile.Section(_folder) + Rules);
        await PushAsync("local/a/app");
        await _registry.ImagesAsync(list => list.Length == 1);
        const string page = "image?image=local/a/app:1";
        (string, string)[] image = [("image", "local/a/app:1")];
        using var erin = new Browser(_registry.Url, PasswordFile.Basic("erin"));

        Assert.Equal(HttpStatusCode.Forbidden, await erin.PostAsync("pin", null, image));
        Assert.Equal(HttpStatusCode.Forbidden, await erin.PostAsync("pin", null, [.. image, ("token", new string('0', 64))]));
        Assert.Equal(HttpStatusCode.Forbidden, await erin.PostAsync("pin", page, image, ("Origin", "http://evil.example")));
        Assert.Equal(HttpStatusCode.Forbidden, await erin.PostAsync("pin", page, image, ("Origin", "null")));
        Assert.Equal(HttpStatusCode.Forbidden, await erin.PostAsync("pin", page, image, ("Sec-Fetch-Site", "cross-site")));
        Assert.Equal(HttpStatusCode.Forbidden, await erin.PostAsync("login", null, image, ("Sec-Fetch-Site", "same-site")));
        using (var alice = new Browser(_registry.Url, PasswordFile.Basic("alice")))
        {
            // Another user's token is of no use.
            var token = (await alice.PageAsync("login")).Contains("name=\"token\"", StringComparison.Ordinal);
            Assert.False(token);
        }
        Assert.Contains("<dd>no</dd>", await erin.PageAsync(page));

        Assert.Equal(
            HttpStatusCode.SeeOther,
            await erin.PostAsync(
                "pin", page, image, ("Origin", _registry.Url.GetLeftPart(UriPartial.Authority)), ("Sec-Fetch-Site", "same-origin")));
        Assert.Contains("yes: no eviction", await erin.PageAsync(page));
        // By a GET nothing changes.
        await erin.PageAsync("unpin?image=local/a/app:1", HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task A_pushed_tag_is_deleted_by_its_page_with_the_setting_the_right_and_the_token_of_the_form_only()
    {
        const string page = "delete?image=local/a/app:1";
        (string, string)[] image = [("image", "local/a/app:1")];
        var rules = Rules.Replace("actions: [pull, push, admin]", "actions: [pull, push, delete, admin]", StringComparison.Ordinal);
        await StartAsync(PasswordFile.Section(_folder) + rules, new() { ["REGISTRY_STORAGE_DELETE_ENABLED"] = "false" });
        await PushAsync("local/a/app");
        using (var erin = new Browser(_registry.Url, PasswordFile.Basic("erin")))
        {
            Assert.Contains("they need <code>storage.delete.enabled</code>", await erin.PageAsync(page));
            Assert.Equal(HttpStatusCode.MethodNotAllowed, await erin.PostAsync("delete", "image?image=local/a/app:1", image));
            await erin.PageAsync("image?image=local/a/app:1");
        }
        await _registry.DisposeAsync();

        var audit = Path.Combine(_folder.Folder("audit"), "audit.log");
        const string robots = "  - {who: {users: [robot-1]}, repositories: [\"**\"], actions: [pull, push, admin]}\n";
        await StartAsync(
            PasswordFile.Section(_folder) + rules.Replace("  rules:\n", "  rules:\n" + robots, StringComparison.Ordinal),
            new() { ["REGISTRY_LOG_AUDIT_PATH"] = audit });
        await PushAsync("local/a/app");
        using (var robot = new Browser(_registry.Url, PasswordFile.Basic("robot-1")))
            Assert.Equal(HttpStatusCode.Forbidden, await robot.PostAsync("delete", page, image));
        using (var alice = new Browser(_registry.Url, PasswordFile.Basic("alice")))
            Assert.Equal(HttpStatusCode.Forbidden, await alice.PostAsync("delete", "image?image=local/a/app:1", image));
        using (var erin = new Browser(_registry.Url, PasswordFile.Basic("erin")))
        {
            Assert.Equal(HttpStatusCode.Forbidden, await erin.PostAsync("delete", null, image));
            Assert.Contains("stays, and clients that ask for its digest still get it", await erin.PageAsync(page));
            Assert.Equal(HttpStatusCode.SeeOther, await erin.PostAsync("delete", page, image));
            await erin.PageAsync("image?image=local/a/app:1", HttpStatusCode.NotFound);
            await erin.PageAsync(page, HttpStatusCode.NotFound);
        }
        // A client without a login chooses the name.
        using (var stranger = new Browser(_registry.Url, PasswordFile.Basic(new string('x', 10_000))))
            await stranger.PageAsync(page, HttpStatusCode.Unauthorized);
        using (var stranger = new Browser(_registry.Url))
            await stranger.LogInAsync(new string('x', 10_000), "wrong");
        var lines = await File.ReadAllLinesAsync(audit, TestContext.Current.CancellationToken);
        Assert.All(lines, line => Assert.InRange(line.Length, 1, 3000));
        Assert.Contains(lines, line => line.Contains("xxx", StringComparison.Ordinal));
        var line = Assert.Single(lines, line => line.Contains("\"event\":\"delete\"", StringComparison.Ordinal));
        Assert.Contains("\"user\":\"erin\"", line, StringComparison.Ordinal);
        Assert.Contains("\"repository\":\"local/a/app\"", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://evil.example/", "/ui/")]
    [InlineData("//evil.example/", "/ui/")]
    [InlineData("image?image=local/a:1", "/ui/image?image=local/a:1")]
    [InlineData("images", "/ui/images")]
    public async Task A_login_leads_to_a_page_of_this_server_only(string to, string expected)
    {
        await StartAsync(PasswordFile.Section(_folder) + Rules);
        using var browser = new Browser(_registry.Url);
        using var form = new FormUrlEncodedContent([new("to", to), new("name", "erin"), new("password", PasswordFile.Password)]);
        using var response = await browser.SendAsync(HttpMethod.Post, "login", form);
        Assert.Equal(expected, response.Headers.Location?.OriginalString);
    }

    [Fact]
    public async Task There_are_no_pages_for_a_file_of_registry_2_unless_it_asks_for_them()
    {
        MirrorProcess.Availability.OrSkip();
        var file = $"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {_folder.Folder("root")}}}}}\nhttp: {{addr: ':5000'}}\n";
        foreach (var (more, expected) in new[] { ("", HttpStatusCode.NotFound), ("ui: {enabled: true}\n", HttpStatusCode.OK) })
        {
            await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { File = file + more });
            using var browser = new Browser(mirror.Url);
            await browser.PageAsync("", expected);
        }
    }

    private async Task<string> TextAsync(string path, string login)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_registry.Url, path));
        request.Headers.TryAddWithoutValidation("Authorization", PasswordFile.Basic(login));
        using var response = await Http.Client.SendAsync(request, TestContext.Current.CancellationToken);
        return await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }

    private async Task StartAsync(string more, Dictionary<string, string>? environment = null)
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { More = more, Environment = environment });
    }

    private async Task PushAsync(string name)
    {
        var repository = new PushedRepository(_registry, name);
        var login = ("Authorization", PasswordFile.Basic("erin"));
        var config = "{}"u8.ToArray();
        using var blob = await repository.SendAsync("POST", $"blobs/uploads/?digest={Digest.Of(config)}", config, null, login);
        Assert.Equal(HttpStatusCode.Created, blob.StatusCode);
        using var response = await repository.SendAsync(
            "PUT", "manifests/1", PushedRepository.Manifest(Digest.Of(config)), PushedRepository.OciManifest, login);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
    }
}
