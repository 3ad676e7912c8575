using System.Net;
using System.Text.Json;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Access.TokenForge;

namespace Mirror.Tests.Access;

/// <summary>Our own <c>/auth/token</c>: anonymous pulls and passwords for pushes, at one registry.</summary>
public sealed class OwnTokenTests : IAsyncDisposable
{
    private const string Rules = """
        access:
          rules:
          - {who: {anonymous: true}, repositories: ["open/**"], actions: [pull]}
          - {who: {users: [alice]}, repositories: ["open/**", "a/**"], actions: [pull, push, list]}

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

    [Theory]
    [InlineData("", "", "/")]
    [InlineData("_catalog", ",scope=\"registry:catalog:*\"", "/")]
    [InlineData("a/app/tags/list", ",scope=\"repository:a/app:pull\"", "/")]
    [InlineData("a/app/tags/list", ",scope=\"repository:a/app:pull\"", "/deep/path/")]
    public async Task A_client_without_a_login_is_sent_to_it(string path, string scope, string prefix)
    {
        await StartAsync(prefix);
        using var response = await Http.Client.GetAsync(new Uri(_registry.Url, $"{prefix}v2/{path}"), Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal(
            $"Bearer realm=\"{_registry.Url}{prefix[1..]}auth/token\",service=\"mirror\"{scope}",
            response.Headers.NonValidated["WWW-Authenticate"].ToString());
        var token = await TokenAsync(null, prefix: prefix);
        using var entered = new HttpRequestMessage(HttpMethod.Get, new Uri(_registry.Url, $"{prefix}v2/"));
        entered.Headers.Add("Authorization", $"Bearer {token}");
        using var answer = await Http.Client.SendAsync(entered, Cancel);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task A_mount_is_sent_for_a_token_of_both_repositories()
    {
        await StartAsync();
        using var response = await _registry.SendAsync(
            HttpMethod.Post, $"a/app/blobs/uploads/?mount={Mirror.Storage.Digest.Of("x"u8)}&from=a/base");
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.EndsWith(
            ",scope=\"repository:a/app:pull,push repository:a/base:pull\"",
            response.Headers.NonValidated["WWW-Authenticate"].ToString());
    }

    // p: pull, w: push, l: the catalog. A letter stands for what is allowed; the others are 401 or 403.
    [Theory]
    [InlineData(null, "repository:open/app:pull,push", "open/app", "p", 401)]
    [InlineData(null, "repository:a/app:pull,push", "a/app", "", 401)]
    [InlineData(null, "", "open/app", "p", 401)]
    [InlineData("alice", "repository:a/app:pull,push", "a/app", "pw", 401)]
    [InlineData("alice", "repository:a/app:*", "a/app", "pw", 401)]
    [InlineData("alice", "repository:a/app:pull", "a/app", "p", 401)]
    [InlineData("alice", "repository:a/other:pull,push", "a/app", "", 401)]
    [InlineData("alice", "repository:b/app:pull,push", "b/app", "", 403)]
    [InlineData("alice", "registry:catalog:*", "open/app", "pl", 401)]
    [InlineData("alice", "repository:a/app:pull registry:catalog:* x ::: repository:A/B:pull", "a/app", "pl", 401)]
    [InlineData("mallory", "repository:a/app:pull,push", "a/app", "", 403)]
    [InlineData("mallory", "registry:catalog:*", "open/app", "p", 403)]
    public async Task A_token_holds_what_was_asked_for_and_the_rules_allow(
        string? user, string scope, string name, string allowed, int refused)
    {
        await StartAsync();
        var token = ("Authorization", $"Bearer {await TokenAsync(user, scope)}");
        using var pull = await _registry.GetAsync($"{name}/tags/list", token);
        Assert.Equal(allowed.Contains('p') ? HttpStatusCode.NotFound : (HttpStatusCode)refused, pull.StatusCode);
        using var push = await _registry.SendAsync(HttpMethod.Post, $"{name}/blobs/uploads/", token);
        Assert.Equal(allowed.Contains('w') ? HttpStatusCode.Accepted : push.StatusCode, push.StatusCode);
        Assert.Equal(allowed.Contains('w'), push.StatusCode == HttpStatusCode.Accepted);
        using var list = await _registry.GetAsync("_catalog", token);
        Assert.Equal(allowed.Contains('l'), list.StatusCode == HttpStatusCode.OK);
    }

    [Fact]
    public async Task Only_a_right_password_gets_a_token()
    {
        await StartAsync();
        foreach (var header in new[]
        {
            PasswordFile.Basic("alice", "wrong"), PasswordFile.Basic("unknown"), "Basic x", $"Bearer {await TokenAsync("alice")}",
        })
        {
            using var response = await AskAsync(header, "");
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.Equal("Basic realm=\"registry\"", response.Headers.WwwAuthenticate.Single().ToString());
        }
    }

    [Fact]
    public async Task A_password_with_the_request_itself_is_taken_too()
    {
        await StartAsync();
        using var right = await _registry.GetAsync("a/app/tags/list", ("Authorization", PasswordFile.Basic("alice")));
        Assert.Equal(HttpStatusCode.NotFound, right.StatusCode);
        using var wrong = await _registry.GetAsync("a/app/tags/list", ("Authorization", PasswordFile.Basic("alice", "wrong")));
        Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
    }

    [Fact]
    public async Task A_token_is_valid_wherever_the_store_is_and_nowhere_else()
    {
        await StartAsync();
        var token = await TokenAsync("alice", "repository:a/app:pull");
        await using var replica = await MirrorProcess.StartAsync(
            new MirrorSettings { Root = _registry.Root, More = PasswordFile.Section(_folder) + Rules });
        Assert.Equal(HttpStatusCode.NotFound, await PullAsync(replica, token));
        await _registry.StopAsync();
        await _registry.StartAgainAsync();
        Assert.Equal(HttpStatusCode.NotFound, await PullAsync(_registry, token));
        await using var stranger = await MirrorProcess.StartAsync(new MirrorSettings { More = PasswordFile.Section(_folder) + Rules });
        Assert.Equal(HttpStatusCode.Unauthorized, await PullAsync(stranger, token));
        var secret = Path.Combine(_registry.Root, "mirror", "secret");
        Assert.Equal(32, new FileInfo(secret).Length);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(secret));
    }

    [Fact]
    public async Task A_forged_token_is_none()
    {
        await StartAsync();
        var claims = Claims("repository:a/app:pull").With("iss", "mirror").With("aud", "mirror");
        var good = (await TokenAsync("alice", "repository:a/app:pull")).Split('.');
        foreach (var token in new[]
        {
            Sign(Header("none"), claims, _ => []), Sign(Header("HS256"), claims, Hs256([])),
            Sign(Header("HS256"), claims, Hs256(new byte[32])),
            $"{good[0]}.{good[1]}.{new string('A', 43)}", $"{good[0]}.{good[1]}.",
        })
            Assert.Equal(HttpStatusCode.Unauthorized, await PullAsync(_registry, token));
    }

    [Fact]
    public async Task There_are_no_tokens_where_no_client_is_sent_for_one()
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { More = PasswordFile.Section(_folder) });
        using var response = await AskAsync(PasswordFile.Basic("alice"), "");
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    private static async Task<HttpStatusCode> PullAsync(MirrorProcess registry, string token)
    {
        using var response = await registry.GetAsync("a/app/tags/list", ("Authorization", $"Bearer {token}"));
        return response.StatusCode;
    }

    private async Task StartAsync(string prefix = "/")
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = PasswordFile.Section(_folder) + Rules,
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_PREFIX"] = prefix },
        });
    }

    private async Task<string> TokenAsync(string? user, string scope = "", string prefix = "/")
    {
        using var response = await AskAsync(user is null ? null : PasswordFile.Basic(user), scope, prefix);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using var json = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal(240, json.RootElement.GetProperty("expires_in").GetInt32());
        Assert.Equal(json.RootElement.GetProperty("token").GetString(), json.RootElement.GetProperty("access_token").GetString());
        return json.RootElement.GetProperty("token").GetString()!;
    }

    private async Task<HttpResponseMessage> AskAsync(string? authorization, string scope, string prefix = "/")
    {
        // Several scopes come in one parameter or in several.
        var query = string.Concat(scope.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(one => $"&scope={Uri.EscapeDataString(one)}"));
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_registry.Url, $"{prefix}auth/token?service=mirror{query}"));
        if (authorization is not null)
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        return await Http.Client.SendAsync(request, Cancel);
    }
}
