using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mirror.Tests.Peers;
using Mirror.Tests.Web;
using Xunit;
using static Mirror.Tests.Access.TokenForge;

namespace Mirror.Tests.Access;

/// <summary><c>auth.privileged_key</c>: what its owner may do, and which tokens are not the owner's.</summary>
public sealed class PrivilegedKeyTests : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly RSA _key = RSA.Create(2048);
    private MirrorProcess? _registry;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        _key.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Its_owner_may_do_everything_beside_passwords_and_rules()
    {
        // As pyrsa-priv2pub writes it: PKCS#1.
        await StartAsync(
            PasswordFile.Section(_folder), _key.ExportRSAPublicKeyPem(),
            "access: {rules: [{who: {anonymous: true}, repositories: [\"open/**\"], actions: [pull]}]}\n");
        var token = await PrintedAsync(_folder.Write("private.pem", _key.ExportRSAPrivateKeyPem()), "5m");

        // 1. With the token itself, as a password, and through our own token service.
        var basic = PasswordFile.Basic("privileged", token);
        using var asked = new HttpRequestMessage(
            HttpMethod.Get, new Uri(_registry!.Url, "/auth/token?service=mirror&scope=repository:any/app:pull,push"));
        asked.Headers.TryAddWithoutValidation("Authorization", basic);
        using var answer = await Http.Client.SendAsync(asked, Cancel);
        using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancel));
        foreach (var header in new[] { $"Bearer {token}", basic, $"Bearer {json.RootElement.GetProperty("token").GetString()}" })
        {
            Assert.Equal(HttpStatusCode.Accepted, await StatusAsync(HttpMethod.Post, "/v2/any/app/blobs/uploads/", header));
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(HttpMethod.Get, "/v2/_catalog", header));
        }
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(HttpMethod.Get, "/mirror/v1/images", $"Bearer {token}"));

        // A session would outlive the token.
        using (var browser = new Browser(_registry.Url))
            Assert.Equal(HttpStatusCode.Unauthorized, await browser.LogInAsync("privileged", token));

        // 2. Everyone else as before.
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(HttpMethod.Get, "/v2/_catalog", null));
        Assert.Equal(
            HttpStatusCode.Forbidden, await StatusAsync(HttpMethod.Post, "/v2/any/app/blobs/uploads/", PasswordFile.Basic("alice")));

        // 3. What is not the owner's.
        using var other = RSA.Create(2048);
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        foreach (var wrong in new[]
        {
            Sign(Header("RS256"), Owner(now + 300), Rs256(other)),
            Sign(Header("RS256", ("kid", Thumbprint(_key))), Owner(now + 300), Rs256(other)),
            Sign(Header("RS256"), Owner(now - 120), Rs256(_key)),
            Sign(Header("RS256"), Owner(now + 25 * 3600), Rs256(_key)),
            Sign(Header("RS256"), Owner(now + 300).With("aud", Service), Rs256(_key)),
            Sign(Header("RS256"), Owner(now + 300).With("iss", Issuer), Rs256(_key)),
            Sign(Header("RS256"), Owner(now + 300).With("exp", null), Rs256(_key)),
            Sign(Header("none"), Owner(now + 300), _ => []),
            Sign(Header("HS256"), Owner(now + 300), Hs256(_key.ExportRSAPublicKey())),
            token[..^4] + "AAAA",
        })
        {
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(HttpMethod.Get, "/v2/_catalog", $"Bearer {wrong}"));
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(HttpMethod.Get, "/mirror/v1/images", $"Bearer {wrong}"));
        }
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(
            HttpMethod.Get, "/v2/_catalog", $"Bearer {Sign(Header("PS256"), Owner(now + 300), Ps256(_key))}"));
        Assert.DoesNotContain(_registry.Log, line => line.Contains(token, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Its_owner_may_do_everything_beside_a_token_server()
    {
        // As openssl rsa -pubout writes it: SPKI.
        using var servers = RSA.Create(2048);
        var jwks = new JsonObject { ["keys"] = new JsonArray(Jwk(servers, "one")) };
        await StartAsync(
            $"auth: {{token: {{realm: http://tokens.example/, service: {Service}, issuer: {Issuer}, "
                + $"jwks: {_folder.Write("keys.json", jwks.ToJsonString())}}}}}\n",
            _key.ExportSubjectPublicKeyInfoPem(), "");
        var owner = await PrintedAsync(_folder.Write("private.pem", _key.ExportPkcs8PrivateKeyPem()), "24h");
        var user = Sign(Header("RS256", ("kid", "one")), Claims("repository:any/app:pull"), Rs256(servers));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(HttpMethod.Get, "/v2/_catalog", $"Bearer {owner}"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(HttpMethod.Get, "/v2/_catalog", $"Bearer {user}"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(HttpMethod.Get, "/v2/any/app/tags/list", $"Bearer {user}"));
    }

    [Theory]
    [InlineData("25h", "1s to 24h")]
    [InlineData("soon", "1s to 24h")]
    [InlineData("5m", "no private key")]
    public async Task The_command_says_what_is_wrong(string lifetime, string expected)
    {
        var file = _folder.Write("public.pem", _key.ExportSubjectPublicKeyInfoPem());
        using var error = new StringWriter();
        var code = await global::Mirror.Commands.CommandLine.RunAsync(
            ["token", "--key", file, "--for", lifetime], new Dictionary<string, string>(), TextWriter.Null, error);
        Assert.NotEqual(0, code);
        Assert.Contains(expected, error.ToString());
    }

    private async Task StartAsync(string auth, string key, string more)
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            File = $"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {_folder.Folder("root")}}}}}\n{auth}{more}",
            Environment = new Dictionary<string, string> { ["REGISTRY_AUTH_PRIVILEGED_KEY"] = _folder.Write("public.pem", key) },
        });
    }

    private static JsonObject Owner(long end) => new() { ["iss"] = "privileged_key", ["aud"] = "mirror", ["exp"] = end };

    private static async Task<string> PrintedAsync(string file, string lifetime)
    {
        using var output = new StringWriter();
        var code = await global::Mirror.Commands.CommandLine.RunAsync(
            ["token", "--key", file, "--for", lifetime], new Dictionary<string, string>(), output, TextWriter.Null);
        Assert.Equal(0, code);
        return output.ToString().Trim();
    }

    private async Task<HttpStatusCode> StatusAsync(HttpMethod method, string path, string? authorization)
    {
        using var request = new HttpRequestMessage(method, new Uri(_registry!.Url, path));
        if (authorization is not null)
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        using var response = await Http.Client.SendAsync(request, Cancel);
        return response.StatusCode;
    }
}
