using System.Net;
using System.Security.Cryptography;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Access.TokenForge;

namespace Mirror.Tests.Access;

/// <summary><c>access.rules</c>: who may do what, at every route, with passwords and with the tokens of a token server.</summary>
public sealed class RulesTests : IAsyncDisposable
{
    private const string Rules = """
        access:
          groups: {ops: [erin]}
          rules:
          - {who: {anonymous: true}, repositories: ["open/**"], actions: [pull, list]}
          - {who: {users: [alice]}, repositories: ["a/**", "open/**"], actions: [pull, push, list]}
          - {who: {users: [robot-*]}, repositories: ["**"], actions: [pull]}
          - {who: {groups: [ops]}, repositories: ["**"], actions: [pull, push, delete, list]}

        """;

    private static readonly Digest Blob = Digest.Of("blob"u8);
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
    public async Task Each_client_may_do_at_each_route_what_the_rules_say()
    {
        await StartWithPasswordsAsync(Rules);
        foreach (var name in new[] { "a/app", "open/app", "b/app" })
            Assert.Equal(HttpStatusCode.Created, await SendAsync("POST", $"{name}/blobs/uploads/?digest={Blob}", "erin"));
        // p: pull, w: push, d: delete. A letter stands for what is allowed.
        Dictionary<string, (string A, string Open, string B)> allowed = new()
        {
            [""] = ("", "p", ""),
            ["alice"] = ("pw", "pw", ""),
            ["robot-1"] = ("p", "p", "p"),
            ["erin"] = ("pwd", "pwd", "pwd"),
            ["mallory"] = ("", "p", ""),
        };
        List<string> wrong = [];
        foreach (var (user, (a, open, b)) in allowed)
            foreach (var (name, letters) in new[] { ("a/app", a), ("open/app", open), ("b/app", b) })
                foreach (var (method, path, letter) in new[]
                {
                    ("GET", "manifests/latest", 'p'), ("HEAD", "manifests/latest", 'p'), ("GET", $"manifests/{Blob}", 'p'),
                    ("GET", $"blobs/{Blob}", 'p'), ("HEAD", $"blobs/{Blob}", 'p'), ("GET", "tags/list", 'p'),
                    ("GET", $"referrers/{Blob}", 'p'), ("POST", "blobs/uploads/", 'w'), ("PUT", "manifests/latest", 'w'),
                    ("PATCH", "blobs/uploads/61c9a2ba-1d38-4d42-9a0b-0f5a0c2b0c36", 'w'), ("DELETE", $"manifests/{Blob}", 'd'),
                    ("DELETE", $"blobs/{Digest.Of("none"u8)}", 'd'),
                })
                {
                    var status = await SendAsync(method, $"{name}/{path}", user);
                    var expected = letters.Contains(letter, StringComparison.Ordinal) ? 0 : user == "" ? 401 : 403;
                    if ((expected == 0) == (status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
                        || expected != 0 && (int)status != expected)
                        wrong.Add($"{user} {method} {name}/{path}: {(int)status}");
                }
        Assert.Empty(wrong);
    }

    [Fact]
    public async Task The_catalog_lists_what_the_client_may_see()
    {
        await StartWithPasswordsAsync(Rules);
        foreach (var name in new[] { "a/app", "open/app", "b/app" })
            await SendAsync("POST", $"{name}/blobs/uploads/?digest={Blob}", "erin");
        Assert.Equal("""{"repositories":["open/app"]}""", await CatalogAsync(""));
        Assert.Equal("""{"repositories":["a/app","open/app"]}""", await CatalogAsync("alice"));
        Assert.Equal("""{"repositories":["a/app","b/app","open/app"]}""", await CatalogAsync("erin"));
    }

    [Theory]
    [InlineData("alice", "a/new", "&from=a/app", HttpStatusCode.Created)]
    [InlineData("alice", "a/new", "&from=b/app", HttpStatusCode.Accepted)]
    [InlineData("alice", "a/new", "", HttpStatusCode.Created)]
    [InlineData("alice", "b/new", "&from=a/app", HttpStatusCode.Forbidden)]
    [InlineData("robot-1", "a/new", "&from=a/app", HttpStatusCode.Forbidden)]
    public async Task A_blob_is_mounted_from_where_the_client_may_pull(string user, string to, string from, HttpStatusCode expected)
    {
        await StartWithPasswordsAsync(Rules);
        foreach (var name in new[] { "a/app", "b/app" })
            await SendAsync("POST", $"{name}/blobs/uploads/?digest={Blob}", "erin");
        Assert.Equal(expected, await SendAsync("POST", $"{to}/blobs/uploads/?mount={Blob}{from}", user));
    }

    [Fact]
    public async Task Without_from_a_blob_is_mounted_only_from_repositories_that_the_client_may_pull_from()
    {
        await StartWithPasswordsAsync(Rules);
        await SendAsync("POST", $"b/app/blobs/uploads/?digest={Blob}", "erin");
        Assert.Equal(HttpStatusCode.Accepted, await SendAsync("POST", $"a/new/blobs/uploads/?mount={Blob}", "alice"));
        Assert.Equal(HttpStatusCode.NotFound, await SendAsync("HEAD", $"a/new/blobs/{Blob}", "alice"));
        Assert.Equal(HttpStatusCode.Created, await SendAsync("POST", $"a/new/blobs/uploads/?mount={Blob}", "erin"));
    }

    [Fact]
    public async Task A_refusal_says_which_user_lacks_which_right()
    {
        await StartWithPasswordsAsync(Rules);
        using var response = await RequestAsync("POST", "b/app/blobs/uploads/", "alice");
        Assert.Contains("no rule in access.rules lets alice push to b/app", await response.Content.ReadAsStringAsync(Cancel));
    }

    [Fact]
    public async Task Without_open_rules_clients_are_asked_for_a_password()
    {
        await StartWithPasswordsAsync("access: {rules: [{who: {users: [\"*\"]}, repositories: [\"**\"], actions: [pull]}]}\n");
        using var response = await _registry.GetAsync("");
        Assert.Equal("Basic realm=\"registry\"", response.Headers.WwwAuthenticate.Single().ToString());
        Assert.Equal(HttpStatusCode.NotFound, await SendAsync("GET", "a/app/manifests/latest", "alice"));
        Assert.Equal(HttpStatusCode.Forbidden, await SendAsync("POST", "a/app/blobs/uploads/", "alice"));
    }

    [Fact]
    public async Task Without_a_login_the_rules_say_what_every_client_may_do()
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = "access: {rules: [{who: {anonymous: true}, repositories: [\"open/*\"], actions: [pull, push]}]}\n",
        });
        Assert.Equal(HttpStatusCode.OK, await SendAsync("GET", "", ""));
        Assert.Equal(HttpStatusCode.Created, await SendAsync("POST", $"open/app/blobs/uploads/?digest={Blob}", ""));
        Assert.Equal(HttpStatusCode.OK, await SendAsync("GET", $"open/app/blobs/{Blob}", ""));
        Assert.Equal(HttpStatusCode.Forbidden, await SendAsync("GET", "closed/app/manifests/latest", ""));
        Assert.Equal(HttpStatusCode.Forbidden, await SendAsync("GET", "open/deep/app/manifests/latest", ""));
        Assert.Equal(HttpStatusCode.Forbidden, await SendAsync("DELETE", $"open/app/blobs/{Blob}", ""));
        Assert.Equal(HttpStatusCode.Forbidden, await SendAsync("GET", "_catalog", ""));
    }

    [Theory]
    [InlineData("repository:open/app:pull", "", "open/app", "p")]
    [InlineData("", "none", "open/app", "p")]
    [InlineData("repository:ci/app:pull,push", "", "ci/app", "")]
    [InlineData("repository:ci/app:pull,push", "acme/app", "ci/app", "pw")]
    [InlineData("repository:ci/app:pull", "acme/app", "ci/app", "p")]
    [InlineData("repository:ci/app:pull,push", "acme/deep/app", "ci/app", "")]
    [InlineData("repository:ci/app:pull,push", "evil/acme/app", "ci/app", "")]
    [InlineData("repository:other/app:pull,push", "acme/app", "other/app", "")]
    public async Task A_token_and_a_rule_must_both_allow(string access, string source, string name, string allowed)
    {
        MirrorProcess.Availability.OrSkip();
        using var key = RSA.Create(2048);
        using var certificate = SelfSigned("token server", key);
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = Section(_folder, certificate) + """
                access:
                  rules:
                  - {who: {anonymous: true}, repositories: ["open/**"], actions: [pull]}
                  - {who: {claims: {repository: [acme/*], ref: [refs/heads/main]} }, repositories: ["ci/**"], actions: [pull, push]}

                """,
        });
        var claims = Claims(access.Length > 0 ? [access] : []);
        if (source.Length > 0)
            claims = claims.With("repository", source).With("ref", "refs/heads/main");
        var token = $"Bearer {Sign(Header("RS256", ("kid", Thumbprint(key))), claims, Rs256(key))}";
        using var pull = await _registry.GetAsync($"{name}/tags/list", ("Authorization", token));
        Assert.Equal(allowed.Contains('p'), pull.StatusCode == HttpStatusCode.NotFound);
        using var push = await _registry.SendAsync(HttpMethod.Post, $"{name}/blobs/uploads/", ("Authorization", token));
        Assert.Equal(allowed.Contains('w'), push.StatusCode == HttpStatusCode.Accepted);
        using var anonymous = await _registry.GetAsync("ci/app/tags/list");
        Assert.Equal(
            $"Bearer realm=\"https://tokens.example/token\",service=\"{Service}\",scope=\"repository:ci/app:pull\"",
            anonymous.Headers.NonValidated["WWW-Authenticate"].ToString());
    }

    private Task StartWithPasswordsAsync(string more) => StartAsync(PasswordFile.Section(_folder) + more);

    private async Task StartAsync(string more)
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { More = more });
    }

    private async Task<string> CatalogAsync(string user)
    {
        using var response = await RequestAsync("GET", "_catalog", user);
        return await response.Content.ReadAsStringAsync(Cancel);
    }

    private async Task<HttpStatusCode> SendAsync(string method, string path, string user)
    {
        using var response = await RequestAsync(method, path, user);
        return response.StatusCode;
    }

    private async Task<HttpResponseMessage> RequestAsync(string method, string path, string user)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(_registry.Url, $"/v2/{path}"));
        if (user.Length > 0)
            request.Headers.TryAddWithoutValidation("Authorization", PasswordFile.Basic(user));
        if (method is "POST" or "PUT" or "PATCH")
            request.Content = new ByteArrayContent(path.Contains("?digest=", StringComparison.Ordinal) ? "blob"u8.ToArray() : []);
        return await Http.Client.SendAsync(request, Cancel);
    }
}
