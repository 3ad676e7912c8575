using System.Net;
using Mirror.Tests.Access;
using Mirror.Tests.Maintenance;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.OldConfigs;

/// <summary>The routes of docker-registry 0.x that are answered.</summary>
public sealed class RoutesTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public RoutesTests() => MirrorProcess.Availability.OrSkip();

    [Fact]
    public async Task The_ping_says_what_the_server_is_and_asks_for_no_login()
    {
        using var folder = new TempFolder();
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings { More = PasswordFile.Section(folder) });

        foreach (var path in new[] { "/_ping", "/v1/_ping", "/v1/_ping/" })
        {
            using var ping = await GetAsync(registry, path);
            Assert.Equal((HttpStatusCode.OK, "{}"), (ping.StatusCode, await ping.Content.ReadAsStringAsync(Cancel)));
            Assert.Equal("application/json", ping.Content.Headers.ContentType!.MediaType);
            Assert.Equal("True", Assert.Single(ping.Headers.GetValues("X-Docker-Registry-Standalone")));
            Assert.Equal(("no-cache", "no-cache"), (ping.Headers.CacheControl!.ToString(), ping.Headers.Pragma.ToString()));
            Assert.Equal("-1", Assert.Single(ping.Content.Headers.GetValues("Expires")));
            Assert.False(ping.Headers.Contains("X-Docker-Registry-Config"));
        }
    }

    [Fact]
    public async Task Logins_and_searches_ask_for_a_password_where_others_do()
    {
        using var folder = new TempFolder();
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings { More = PasswordFile.Section(folder) });

        foreach (var path in new[] { "/v1/users/", "/v1/search?q=a" })
        {
            using var refused = await GetAsync(registry, path);
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            Assert.Equal("Basic", Assert.Single(refused.Headers.WwwAuthenticate).Scheme);
            using var let = await GetAsync(registry, path, ("Authorization", PasswordFile.Basic("alice")));
            Assert.Equal(HttpStatusCode.OK, let.StatusCode);
        }
        using var wrong = await GetAsync(registry, "/v1/users/", ("Authorization", PasswordFile.Basic("alice", "wrong")));
        Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
    }

    [Fact]
    public async Task An_old_login_to_an_open_registry_succeeds()
    {
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());

        using var user = await GetAsync(registry, "/v1/users/");
        Assert.Equal((HttpStatusCode.OK, "\"OK\""), (user.StatusCode, await user.Content.ReadAsStringAsync(Cancel)));
        using var made = await Http.Client.PostAsync(new Uri(registry.Url, "/v1/users/"), new StringContent("{}"), Cancel);
        Assert.Equal((HttpStatusCode.Created, "\"User Created\""), (made.StatusCode, await made.Content.ReadAsStringAsync(Cancel)));
    }

    [Fact]
    public async Task A_search_finds_what_was_pushed_at_once()
    {
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());
        var (manifest, blobs) = Pushes.Image(1);
        Assert.True(await Pushes.PushAsync(registry, "team/app", "1", manifest, blobs));
        Assert.Equal("""{"num_results":1,"query":"APP","results":[{"description":"","name":"team/app"}]}""", await SearchAsync("q=APP"));
        Assert.True(await Pushes.PushAsync(registry, "team/tool", "1", manifest, blobs));

        Assert.Equal(
            """{"num_results":2,"query":"","results":[{"description":"","name":"team/app"},{"description":"","name":"team/tool"}]}""",
            await SearchAsync("q="));
        Assert.Contains("\"num_results\":1,", await SearchAsync("q=team&n=1"));
        // They are no patterns.
        Assert.Contains("\"num_results\":0,", await SearchAsync("q=%25"));

        async Task<string> SearchAsync(string query)
        {
            using var answer = await GetAsync(registry, $"/v1/search?{query}");
            Assert.Equal((HttpStatusCode.OK, "application/json"), (answer.StatusCode, answer.Content.Headers.ContentType!.MediaType));
            return await answer.Content.ReadAsStringAsync(Cancel);
        }
    }

    [Fact]
    public async Task Docker_searches_the_registry()
    {
        Dockerd.Availability.OrSkip();
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());
        var (manifest, blobs) = Pushes.Image(1);
        Assert.True(await Pushes.PushAsync(registry, "team/app", "1", manifest, blobs));
        await using var dockerd = await Dockerd.StartAsync(registry.Url);

        Assert.Contains("team/app", await dockerd.RunAsync("search", $"{registry.Authority}/app"));
    }

    [Theory]
    [InlineData("/v1/images/abc/json")]
    [InlineData("/v1/repositories/library/ubuntu/tags")]
    [InlineData("/v1/")]
    public async Task Everything_else_of_version_1_says_what_to_do(string path)
    {
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());

        using var answer = await GetAsync(registry, path);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.StartsWith("{\"error\":\"this registry speaks version 2", await answer.Content.ReadAsStringAsync(Cancel));
    }

    [Fact]
    public async Task The_pages_of_go_say_what_there_is_instead()
    {
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());

        foreach (var (path, expected) in new[] { ("/debug/vars", "http.debug.prometheus.enabled"), ("/debug/pprof/heap", "dotnet-dump") })
        {
            using var answer = await Http.Client.GetAsync(new Uri(registry.Debug, path), Cancel);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            Assert.Contains(expected, await answer.Content.ReadAsStringAsync(Cancel));
        }
    }

    internal static async Task<HttpResponseMessage> GetAsync(
        MirrorProcess registry, string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(registry.Url, path));
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return await Http.Client.SendAsync(request, Cancel);
    }
}
