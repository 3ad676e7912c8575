using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Storage;
using Mirror.Tests.Access;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;
using static Mirror.Tests.Access.TokenForge;

namespace Mirror.Tests.Web;

/// <summary>Browsers that log in at the token server of <c>auth.token</c>: each page asks it for what the page needs.</summary>
public sealed class TokenLoginTests : IAsyncDisposable
{
    private const string Rules = """
        access:
          rules:
          - {who: {users: [alice]}, repositories: ["**"], actions: [pull, push, delete, admin]}

        """;

    private readonly TempFolder _folder = new();
    private readonly RSA _key = RSA.Create(2048);
    private readonly Uri _realm = new($"http://127.0.0.1:{Ports.Free()}/token");
    private readonly ConcurrentQueue<string> _asked = new();
    private readonly HashSet<string> _deletable = ["local/app"];
    private readonly HashSet<string> _refused = [];
    private readonly Gate _strangers = new();
    private volatile bool _isRefusing;
    private TimeSpan _life = TimeSpan.FromMinutes(5);
    private WebApplication _tokens = null!;
    private MirrorProcess _registry = null!;

    [Fact]
    public async Task A_browser_may_do_what_both_its_tokens_and_a_rule_allow()
    {
        await StartAsync();
        await PushAsync("local/app");
        await PushAsync("local/kept");
        using var browser = new Browser(_registry.Url);
        Assert.Equal(HttpStatusCode.SeeOther, await browser.LogInAsync("alice", "pa55-of-alice"));
        await _registry.ImagesAsync(list => list.Length == 2);
        Assert.Contains("local/kept:1", await browser.PageAsync("images"));
        await browser.PageAsync("settings");

        // What came after the login is there as well.
        await PushAsync("local/later");
        await _registry.ImagesAsync(list => list.Length == 3);
        Assert.Contains("local/later:1", await browser.PageAsync("images?sort=state"));
        Assert.Equal(HttpStatusCode.SeeOther, await ActAsync("pin", "local/later"));
        Assert.Contains("yes: no eviction", await browser.PageAsync("image?image=local/later:1"));
        // One request for many repositories, and none for what was given already.
        Assert.Equal(
            ["registry:catalog:*", "repository:local/app:pull repository:local/kept:pull", "repository:local/later:pull"], _asked);

        Assert.Equal(HttpStatusCode.Forbidden, await ActAsync("delete", "local/kept"));
        Assert.Equal(HttpStatusCode.SeeOther, await ActAsync("delete", "local/app"));
        await browser.PageAsync("image?image=local/app:1", HttpStatusCode.NotFound);
        await browser.PageAsync("image?image=local/kept:1");
        Assert.Equal(
            ["repository:local/app:pull,delete", "repository:local/kept:pull,delete"], _asked.ToArray()[^2..].Order());

        Task<HttpStatusCode> ActAsync(string what, string name) =>
            browser.PostAsync(what, $"image?image={name}:1", [("image", $"{name}:1")]);
    }

    [Fact]
    public async Task A_session_asks_again_before_a_token_ends_and_ends_when_the_token_server_refuses_it()
    {
        await StartAsync();
        await PushAsync("local/app");
        await _registry.ImagesAsync(list => list.Length == 1);
        // Sixty seconds are forgiven: each request needs a new one.
        _life = TimeSpan.FromSeconds(-30);
        using var browser = new Browser(_registry.Url);
        Assert.Equal(HttpStatusCode.SeeOther, await browser.LogInAsync("alice", "pa55-of-alice"));
        for (var i = 0; i < 3; i++)
        {
            var before = _asked.Count;
            await browser.PageAsync("image?image=local/app:1");
            Assert.InRange(_asked.Count, before + 2, before + 10);
        }
        _isRefusing = true;
        using (var response = await browser.SendAsync(HttpMethod.Get, "image?image=local/app:1", null))
            Assert.Equal("/ui/login?to=image%3Fimage%3Dlocal%2Fapp%3A1", response.Headers.Location?.OriginalString);
        var last = _asked.Count;
        await browser.PageAsync("images", HttpStatusCode.Redirect);
        Assert.Equal(last, _asked.Count);

        // While the token server is away, what it gave counts until it ends.
        _isRefusing = false;
        _life = TimeSpan.FromMinutes(5);
        Assert.Equal(HttpStatusCode.SeeOther, await browser.LogInAsync("alice", "pa55-of-alice"));
        Assert.Contains("local/app:1", await browser.PageAsync("images"));
        _life = TimeSpan.FromSeconds(-30);
        using var other = new Browser(_registry.Url);
        Assert.Equal(HttpStatusCode.SeeOther, await other.LogInAsync("alice", "pa55-of-alice"));
        await _tokens.StopAsync(TestContext.Current.CancellationToken);
        Assert.Contains("local/app:1", await browser.PageAsync("images"));
        // A browser whose tokens have ended can still get to the form, for the token of the administrator.
        await other.PageAsync("images", HttpStatusCode.ServiceUnavailable);
        await other.PageAsync("login");
        Assert.Contains("token server (auth.token.realm)", await browser.PageAsync(
            "image?image=local/other:1", HttpStatusCode.ServiceUnavailable));
        Assert.DoesNotContain(_registry.Log, line => line.Contains("pa55-of-alice", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_token_server_that_refuses_a_scope_or_whose_clock_is_behind_costs_no_session_and_few_requests()
    {
        await StartAsync();
        string[] open = ["local/a", "local/b", "local/c", "local/d", "local/e", "local/f", "local/g"];
        foreach (var name in open.Append("local/secret"))
            await PushAsync(name);
        await _registry.ImagesAsync(list => list.Length == open.Length + 1);
        _refused.UnionWith(["registry", "local/secret"]);
        using var browser = new Browser(_registry.Url);
        Assert.Equal(HttpStatusCode.SeeOther, await browser.LogInAsync("alice", "pa55-of-alice"));
        var page = await browser.PageAsync("images");
        Assert.All(open, name => Assert.Contains($"{name}:1", page, StringComparison.Ordinal));
        Assert.DoesNotContain("local/secret", page, StringComparison.Ordinal);
        // No way to the form: a login again would be as good.
        await browser.PageAsync("image?image=local/secret:1", HttpStatusCode.NotFound);
        Assert.Equal(HttpStatusCode.Forbidden, await browser.PostAsync("pin", "images", [("image", "local/secret:1")]));
        var asked = _asked.Count;
        await browser.PageAsync("images");
        Assert.Equal(asked, _asked.Count);

        // The server forgives sixty seconds. Each token ends as it comes, and counts for the page that asked for it.
        _life = TimeSpan.FromSeconds(-30);
        _refused.Clear();
        using var behind = new Browser(_registry.Url);
        Assert.Equal(HttpStatusCode.SeeOther, await behind.LogInAsync("alice", "pa55-of-alice"));
        asked = _asked.Count;
        Assert.Contains("local/secret:1", await behind.PageAsync("images"));
        Assert.Equal(asked + 2, _asked.Count);
    }

    [Fact]
    public async Task Logins_of_strangers_do_not_take_the_turns_of_users_who_are_logged_in()
    {
        await StartAsync();
        await PushAsync("local/app");
        await _registry.ImagesAsync(list => list.Length == 1);
        // Each page needs a new token.
        _life = TimeSpan.FromSeconds(-30);
        using var browser = new Browser(_registry.Url);
        Assert.Equal(HttpStatusCode.SeeOther, await browser.LogInAsync("alice", "pa55-of-alice"));
        using var stranger = new Browser(_registry.Url);
        var logins = Enumerable.Range(0, 40).Select(_ => stranger.LogInAsync("mallory", "x")).ToList();
        // The token server holds the first ones, and the server refuses those for which there is no place.
        await Until.TrueAsync(
            () => logins.Count(login => login is { IsCompletedSuccessfully: true, Result: HttpStatusCode.TooManyRequests }) >= 20,
            () => "No login was refused.");
        Assert.Contains("local/app", await browser.PageAsync("image?image=local/app:1"));
        _strangers.Open();
        await Task.WhenAll(logins);
    }

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        if (_tokens is not null)
            await _tokens.DisposeAsync();
        _key.Dispose();
        _folder.Dispose();
    }

    private async Task StartAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _tokens = await OwnServer.StartAsync(_realm, AnswerAsync);
        var bundle = _folder.Write("bundle.pem", SelfSigned("token server", _key).ExportCertificatePem());
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = $"auth:\n  token: {{realm: {_realm}, service: {Service}, issuer: {Issuer}, rootcertbundle: {bundle}}}\n{Rules}",
        });
    }

    private async Task AnswerAsync(HttpContext http)
    {
        if (http.Request.Headers.Authorization == $"Basic {Convert.ToBase64String("mallory:x"u8)}")
            await _strangers.PassAsync(http.RequestAborted);
        if (_isRefusing || http.Request.Headers.Authorization != $"Basic {Convert.ToBase64String("alice:pa55-of-alice"u8)}")
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }
        string[] scopes = [.. http.Request.Query["scope"].OfType<string>()];
        _asked.Enqueue(string.Join(' ', scopes));
        if (scopes.Any(scope => scope.Split(':') is [var kind, var name, ..] && (_refused.Contains(kind) || _refused.Contains(name))))
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }
        var given = scopes.Select(scope => _deletable.Contains(scope.Split(':')[1])
            ? scope : scope.Replace(",delete", "", StringComparison.Ordinal));
        var claims = Claims([.. given]).With("exp", (DateTimeOffset.UtcNow + _life).ToUnixTimeSeconds());
        await http.Response.WriteAsJsonAsync(new { token = Token(claims), expires_in = 300 });
    }

    private string Token(System.Text.Json.Nodes.JsonObject claims) =>
        Sign(Header("RS256", ("kid", Thumbprint(_key))), claims, Rs256(_key));

    private async Task PushAsync(string name)
    {
        var login = ("Authorization", $"Bearer {Token(Claims($"repository:{name}:pull,push"))}");
        var repository = new PushedRepository(_registry, name);
        var config = "{}"u8.ToArray();
        using var blob = await repository.SendAsync("POST", $"blobs/uploads/?digest={Digest.Of(config)}", config, null, login);
        Assert.Equal(HttpStatusCode.Created, blob.StatusCode);
        using var response = await repository.SendAsync(
            "PUT", "manifests/1", PushedRepository.Manifest(Digest.Of(config)), PushedRepository.OciManifest, login);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
    }
}
