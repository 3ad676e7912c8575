using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Tests.Peers;
using Mirror.Tests.Web;
using Xunit;
using static Mirror.Tests.Access.TokenForge;

namespace Mirror.Tests.Access;

/// <summary><c>auth.oidc</c>: the identity tokens of CI jobs, before an issuer of the test's own.</summary>
public sealed class OidcTests : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly RSA _first = RSA.Create(2048);
    private readonly ECDsa _second = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly Uri _issuer = new($"http://127.0.0.1:{Ports.Free()}");
    private volatile JsonObject _keys = [];
    private WebApplication? _provider;
    private MirrorProcess? _registry;
    private int _asked;

    private string Issuer => _issuer.GetLeftPart(UriPartial.Authority);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_job_may_do_what_the_rules_say_of_its_claims_with_keys_that_change()
    {
        MirrorProcess.Availability.OrSkip();
        _keys = Set(Jwk(_first, "first"));
        _provider = await OwnServer.StartAsync(_issuer, AnswerAsync);
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = $"{PasswordFile.Section(_folder).TrimEnd()}\n".Replace(
                    "auth: {", $"auth: {{oidc: {{issuer: \"{Issuer}\", audience: registry}}, ", StringComparison.Ordinal)
                + """
                access:
                  groups: {ops: ["oidc:job"]}
                  rules:
                  - {who: {claims: {repository: [acme/*], ref: [refs/heads/main]}}, repositories: ["acme/**"], actions: [pull, push]}
                  - {who: {users: ["**"], groups: [ops]}, repositories: ["users/**"], actions: [pull, push]}
                  - {who: {anonymous: true}, repositories: ["open/**"], actions: [pull]}

                """,
        });

        // 1. What the rules say of its claims, and nothing that they say of users and groups.
        var job = Job();
        Assert.Equal(HttpStatusCode.Accepted, await PushAsync("acme/app", job));
        Assert.Equal(HttpStatusCode.Forbidden, await PushAsync("users/app", job));
        Assert.Equal(HttpStatusCode.Forbidden, await PushAsync("acme/app", Job(claims => claims["ref"] = "refs/heads/topic")));
        Assert.Equal(HttpStatusCode.Accepted, await PushAsync("users/app", PasswordFile.Basic("alice")));

        // 2. Through our own token service, as docker does.
        using (var asked = new HttpRequestMessage(
            HttpMethod.Get, new Uri(_registry.Url, "/auth/token?service=mirror&scope=repository:acme/app:pull,push")))
        {
            asked.Headers.TryAddWithoutValidation("Authorization", job);
            using var answer = await Http.Client.SendAsync(asked, Cancel);
            using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancel));
            var token = $"Bearer {json.RootElement.GetProperty("token").GetString()}";
            Assert.Equal(HttpStatusCode.Accepted, await PushAsync("acme/app", token));
            Assert.NotEqual(HttpStatusCode.Accepted, await PushAsync("users/app", token));
        }

        // A session would outlive the token, and would be that of a user of the password file.
        using (var browser = new Browser(_registry.Url))
        {
            Assert.Equal(HttpStatusCode.Unauthorized, await browser.LogInAsync("oidc", TokenOf(Claims(), _first)));
            Assert.Equal(HttpStatusCode.SeeOther, await browser.LogInAsync("alice", PasswordFile.Password));
        }

        // 3. What is no token of a job for this registry.
        using var other = RSA.Create(2048);
        foreach (var wrong in new[]
        {
            Job(claims => claims["aud"] = "another"), Job(claims => claims["iss"] = "https://other.example"),
            Job(claims => claims["exp"] = 1000), Job(claims => claims.Remove("exp")), Job(sign: other),
            PasswordFile.Basic("oidc", Sign(Header("none"), Claims(), _ => [])),
            PasswordFile.Basic("oidc", Sign(Header("HS256", ("kid", "first")), Claims(), Hs256(_first.ExportRSAPublicKey()))),
            PasswordFile.Basic("oidc", "secret"), PasswordFile.Basic("oidc", "a.b.c"),
        })
            Assert.Equal(HttpStatusCode.Unauthorized, await PushAsync("acme/app", wrong));

        // 4. The first job with a new key is let in; the old key is over then.
        _keys = Set(Jwk(_second, "second"));
        Assert.Equal(HttpStatusCode.Accepted, await PushAsync("acme/app", PasswordFile.Basic("oidc", Sign(
            Header("ES256", ("kid", "second")), Claims(), Es(_second, HashAlgorithmName.SHA256)))));
        Assert.Equal(HttpStatusCode.Unauthorized, await PushAsync("acme/app", job));

        // 5. Unknown keys have them read again, but not often.
        var before = Volatile.Read(ref _asked);
        for (var i = 0; i < 20; i++)
            Assert.Equal(HttpStatusCode.Unauthorized, await PushAsync("acme/app", PasswordFile.Basic("oidc", Sign(
                Header("RS256", ("kid", $"forged-{i}")), Claims(), Rs256(other)))));
        Assert.InRange(Volatile.Read(ref _asked) - before, 0, 6);

        // 6. Without the issuer, its last keys count. Forged tokens have not asked it often.
        await _provider.StopAsync(Cancel);
        Assert.Equal(HttpStatusCode.Accepted, await PushAsync("acme/app", PasswordFile.Basic("oidc", Sign(
            Header("ES256", ("kid", "second")), Claims().With("jti", "two"), Es(_second, HashAlgorithmName.SHA256)))));
        Assert.DoesNotContain(_registry.Log, line => line.Contains(job["Basic ".Length..], StringComparison.Ordinal));
    }

    [Fact]
    public async Task While_the_issuer_has_no_keys_no_job_is_let_in_and_passwords_are()
    {
        MirrorProcess.Availability.OrSkip();
        _keys = new JsonObject { ["keys"] = new JsonArray() };
        _provider = await OwnServer.StartAsync(_issuer, AnswerAsync);
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = $"{PasswordFile.Section(_folder).TrimEnd()}\n".Replace(
                    "auth: {", $"auth: {{oidc: {{issuer: \"{Issuer}\", audience: registry}}, ", StringComparison.Ordinal)
                + "access: {rules: [{who: {users: [alice], claims: {ref: [\"**\"]}}, repositories: [\"**\"], actions: [push]}]}\n",
        });
        Assert.Equal(HttpStatusCode.Unauthorized, await PushAsync("acme/app", Job()));
        await _registry.UntilLoggedAsync(line => line.Contains("leads to no keys", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.Unauthorized, await PushAsync("acme/app", Job(claims => claims["jti"] = "2")));
        Assert.Equal(HttpStatusCode.Accepted, await PushAsync("acme/app", PasswordFile.Basic("alice")));
    }

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        if (_provider is not null)
            await _provider.DisposeAsync();
        _first.Dispose();
        _second.Dispose();
        _folder.Dispose();
    }

    private JsonObject Claims() => new()
    {
        ["iss"] = Issuer,
        ["aud"] = new JsonArray("registry"),
        ["sub"] = "job",
        ["exp"] = DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 300,
        ["repository"] = "acme/app",
        ["ref"] = "refs/heads/main",
        ["groups"] = new JsonArray("ops"),
    };

    /// <summary>The <c>Authorization</c> header of a job.</summary>
    private string Job(Action<JsonObject>? change = null, RSA? sign = null)
    {
        var claims = Claims();
        change?.Invoke(claims);
        return PasswordFile.Basic("oidc", TokenOf(claims, sign ?? _first));
    }

    private static string TokenOf(JsonObject claims, RSA key) => Sign(Header("RS256", ("kid", "first")), claims, Rs256(key));

    private static JsonObject Set(JsonObject key) => new() { ["keys"] = new JsonArray(key) };

    private async Task AnswerAsync(HttpContext http)
    {
        Interlocked.Increment(ref _asked);
        var body = http.Request.Path == "/keys" ? _keys : new JsonObject
        {
            ["issuer"] = Issuer,
            ["jwks_uri"] = $"{Issuer}/keys",
            ["authorization_endpoint"] = $"{Issuer}/authorize",
        };
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync(body.ToJsonString(), http.RequestAborted);
    }

    private async Task<HttpStatusCode> PushAsync(string name, string authorization)
    {
        using var response = await _registry!.SendAsync(HttpMethod.Post, $"{name}/blobs/uploads/", ("Authorization", authorization));
        return response.StatusCode;
    }
}
