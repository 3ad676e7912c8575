using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.IdentityModel.Tokens;
using Mirror.Tests.Admin;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Web;
using Xunit;
using static Mirror.Tests.Access.TokenForge;

namespace Mirror.Tests.Access;

/// <summary><c>auth.token</c>: what the file of <c>registry:3</c> has beyond 2, what a client is told, and real clients.</summary>
public sealed class TokenServerTests : IAsyncDisposable
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
    public async Task A_key_of_a_JWKS_is_found_by_every_name_it_has()
    {
        // One key in 128 has a coordinate that begins with a zero; registry:3 leaves it out of the name.
        ECDsa key;
        for (key = ECDsa.Create(ECCurve.NamedCurves.nistP256); key.ExportParameters(false).Q.X![0] != 0;)
        {
            key.Dispose();
            key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        }
        using var _ = key;
        using var certificate = SelfSigned("token server", _key);
        var jwks = new JsonObject { ["keys"] = new JsonArray(Jwk(key, "2026-11"), new JsonObject { ["kty"] = "oct", ["k"] = "c2VjcmV0" }) };
        await StartAsync($"jwks: {_folder.Write("keys.json", jwks.ToJsonString())}", Bundle(certificate.ExportCertificatePem()));

        var q = key.ExportParameters(false).Q;
        var (x, y) = (Trimmed(q.X!), Trimmed(q.Y!));
        var trimmed = $$"""{"crv":"P-256","kty":"EC","x":"{{x}}","y":"{{y}}"}""";
        foreach (var kid in new[]
        {
            "2026-11", Thumbprint(key),
            Base64UrlEncoder.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(trimmed))),
        })
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(
                Sign(Header("ES256", ("kid", kid)), Claims(), Es(key, HashAlgorithmName.SHA256))));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(
            Sign(Header("RS256", ("jwk", Jwk(_key))), Claims(), Rs256(_key))));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(
            Sign(Header("HS256", ("kid", "")), Claims(), Hs256("secret"u8.ToArray()))));

        static string Trimmed(byte[] number) => Base64UrlEncoder.Encode(number.SkipWhile(b => b == 0).ToArray());
    }

    [Fact]
    public async Task Only_the_listed_algorithms_count()
    {
        await StartAsync("signingalgorithms: [RS512, PS256]", Bundle(SelfSigned("token server", _key).ExportCertificatePem()));

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(Good("RS512", Rs(_key, HashAlgorithmName.SHA512))));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(Good("PS256", Ps256(_key))));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(Good("RS256", Rs256(_key))));
    }

    [Theory]
    [InlineData("", null, "https://mirror.example:5000/auth/token")]
    [InlineData("", "https", "https://mirror.example:5000/auth/token")]
    [InlineData("", "http", "http://mirror.example:5000/auth/token")]
    [InlineData("", "gopher", "https://mirror.example:5000/auth/token")]
    [InlineData("autoredirectpath: /auth/token/", null, "https://mirror.example:5000/auth/token/")]
    public async Task The_realm_may_be_at_the_host_that_the_client_asked(string path, string? proto, string realm)
    {
        await StartAsync("autoredirect: true", path, Bundle(SelfSigned("token server", _key).ExportCertificatePem()));
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_registry!.Url, "/v2/team/app/tags/list"));
        request.Headers.Host = "mirror.example:5000";
        if (proto is not null)
            request.Headers.Add("X-Forwarded-Proto", proto);
        using var response = await Http.Client.SendAsync(request, Cancel);
        Assert.Equal(
            $"Bearer realm=\"{realm}\",service=\"{Service}\",scope=\"repository:team/app:pull\"",
            response.Headers.NonValidated["WWW-Authenticate"].ToString());
    }

    [Fact]
    public async Task The_client_is_told_which_rights_it_needs()
    {
        await StartAsync(Bundle(SelfSigned("token server", _key).ExportCertificatePem()));
        using var response = await _registry!.SendAsync(HttpMethod.Post, "team/app/blobs/uploads/?from=team/base");
        Assert.Equal(
            """
            {"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[
            {"Type":"repository","Class":"","Name":"team/app","Action":"pull"},
            {"Type":"repository","Class":"","Name":"team/app","Action":"push"},
            {"Type":"repository","Class":"","Name":"team/base","Action":"pull"}]}]}
            """.ReplaceLineEndings(""),
            await response.Content.ReadAsStringAsync(Cancel));
    }

    [Theory]
    [InlineData("GET", "team/app/manifests/1?from=%C3%A9", "pull")]
    [InlineData("GET", "team/app/manifests/1?from=%0A", "pull")]
    [InlineData("POST", "team/app/blobs/uploads/?mount=x&from=%22", "pull,push")]
    [InlineData("POST", "team/app/blobs/uploads/?mount=x&from=", "pull,push")]
    [InlineData("POST", "team/app/blobs/uploads/?mount=x&from=team/base&from=%C3%A9", "pull,push repository:team/base:pull")]
    public async Task A_from_that_names_no_repository_adds_no_right_that_a_client_needs(string method, string path, string scope)
    {
        await StartAsync(Bundle(SelfSigned("token server", _key).ExportCertificatePem()));
        using var response = await _registry!.SendAsync(new HttpMethod(method), path);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.EndsWith(
            $",scope=\"repository:team/app:{scope}\"", response.Headers.NonValidated["WWW-Authenticate"].ToString(),
            StringComparison.Ordinal);
        Assert.Contains("UNAUTHORIZED", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_ends_while_it_is_remembered()
    {
        await StartAsync(Bundle(SelfSigned("token server", _key).ExportCertificatePem()));
        // Sixty seconds are forgiven, and it has three more.
        var token = Good("RS256", Rs256(_key), Claims().With("exp", DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 57));
        await Until.TrueAsync(async () => await StatusAsync(token) == HttpStatusCode.Unauthorized, () => "The token does not end.");
    }

    [Theory]
    [InlineData("rootcertbundle: empty.pem", "", "auth.token.rootcertbundle: ")]
    [InlineData("rootcertbundle: /nowhere.pem", "", "auth.token.rootcertbundle: /nowhere.pem does not exist")]
    [InlineData("jwks: /nowhere.json", "", "auth.token.jwks: /nowhere.json does not exist")]
    [InlineData("jwks: empty.pem", "{\"keys\":[]}", "hold no RSA or EC key")]
    [InlineData("jwks: empty.pem", "{", "cannot be read")]
    public async Task Without_a_key_it_does_not_start(string line, string content, string why)
    {
        var file = _folder.Write("empty.pem", content);
        var failed = await Assert.ThrowsAsync<PeerFailedException>(
            () => StartAsync(line.Replace("empty.pem", file, StringComparison.Ordinal)));
        Assert.Contains(why, failed.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("image", null, "application/vnd.oci.image.config.v1+json", HttpStatusCode.Created)]
    [InlineData("image", "image", "application/vnd.docker.container.image.v1+json", HttpStatusCode.Created)]
    [InlineData("image", "plugin", "application/vnd.oci.image.config.v1+json", HttpStatusCode.Forbidden)]
    [InlineData("image", "plugin", "application/vnd.docker.plugin.v1+json", HttpStatusCode.Forbidden)]
    [InlineData("image, plugin", "plugin", "application/vnd.docker.plugin.v1+json", HttpStatusCode.Created)]
    [InlineData("image, plugin", null, "application/vnd.docker.plugin.v1+json", HttpStatusCode.Forbidden)]
    [InlineData("image, plugin", null, "application/vnd.example.config", HttpStatusCode.Forbidden)]
    public async Task Only_images_of_the_class_are_pushed(string classes, string? granted, string config, HttpStatusCode expected)
    {
        await StartAsync(
            $"{Bundle(SelfSigned("token server", _key).ExportCertificatePem())}\npolicy: {{repository: {{classes: [{classes}]}}}}");
        var claims = Claims("repository:team/app:pull,push");
        if (granted is not null)
            claims["access"]![0]!["class"] = granted;
        var token = Good("RS256", Rs256(_key), claims);
        var digest = Mirror.Storage.Digest.Of("{}"u8);
        await PutAsync(HttpMethod.Post, $"team/app/blobs/uploads/?digest={digest}", "{}", null, token);
        var manifest = $$"""
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "config":{"mediaType":"{{config}}","digest":"{{digest}}","size":2},"layers":[]}
            """;
        Assert.Equal(expected, await PutAsync(
            HttpMethod.Put, "team/app/manifests/1", manifest, "application/vnd.oci.image.manifest.v1+json", token));
    }

    [Fact]
    public async Task Skopeo_pushes_and_pulls_with_the_tokens_of_a_server()
    {
        Skopeo.Availability.OrSkip();
        var realm = new Uri($"http://127.0.0.1:{Ports.Free()}/token");
        await using var server = await OwnServer.StartAsync(realm, AnswerAsync);
        await StartAsync(realm, Bundle(SelfSigned("token server", _key).ExportCertificatePem()));
        using var skopeo = new Skopeo();
        var image = TestImage.Create(1);
        var push = await Assert.ThrowsAsync<PeerFailedException>(() => skopeo.PushAsync(image, $"{_registry!.Authority}/team/app:1"));
        Assert.Contains("denied: requested access to the resource is denied", push.Message, StringComparison.Ordinal);
        await skopeo.RunAsync("login", "--tls-verify=false", "-u", "alice", "-p", "secret", _registry!.Authority);
        await skopeo.PushAsync(image, $"{_registry.Authority}/team/app:1");
        await skopeo.PullAsync($"{_registry.Authority}/team/app:1");

        async Task AnswerAsync(HttpContext http)
        {
            var known = http.Request.Headers.Authorization == $"Basic {Convert.ToBase64String("alice:secret"u8)}";
            var claims = known ? Claims([.. http.Request.Query["scope"].OfType<string>()]) : Claims();
            await http.Response.WriteAsJsonAsync(new { token = Good("RS256", Rs256(_key), claims), expires_in = 300 });
        }
    }

    [Fact]
    public async Task A_browser_logs_in_at_the_token_server_and_has_the_rights_of_its_token_until_that_ends()
    {
        var realm = new Uri($"http://127.0.0.1:{Ports.Free()}/token");
        var (elsewhere, briefs) = (0, 0);
        await using var server = await OwnServer.StartAsync(realm, AnswerAsync);
        await StartAsync(realm, Bundle(SelfSigned("token server", _key).ExportCertificatePem()));
        var digest = Mirror.Storage.Digest.Of("{}"u8);
        foreach (var name in new[] { "local/app", "local/hidden" })
        {
            var token = Good("RS256", Rs256(_key), Claims($"repository:{name}:pull,push"));
            await PutAsync(HttpMethod.Post, $"{name}/blobs/uploads/?digest={digest}", "{}", null, token);
            var manifest = Encoding.UTF8.GetString(PushedRepository.Manifest(digest));
            Assert.Equal(HttpStatusCode.Created, await PutAsync(
                HttpMethod.Put, $"{name}/manifests/1", manifest, PushedRepository.OciManifest, token));
        }
        await _registry!.ImagesAsync(list => list.Length == 2);

        using var browser = new Browser(_registry!.Url);
        await browser.PageAsync("images", HttpStatusCode.Redirect);
        Assert.Equal(HttpStatusCode.Unauthorized, await browser.LogInAsync("alice", "wrong"));
        Assert.Equal(HttpStatusCode.Unauthorized, await browser.LogInAsync("forger", "secret"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await browser.LogInAsync("moved", "secret"));
        Assert.Equal(0, elsewhere);
        await browser.PageAsync("images", HttpStatusCode.Redirect);

        Assert.Equal(HttpStatusCode.SeeOther, await browser.LogInAsync("alice", "secret"));
        var page = await browser.PageAsync("images");
        Assert.Contains("local/app:1", page, StringComparison.Ordinal);
        Assert.DoesNotContain("local/hidden", page, StringComparison.Ordinal);
        await browser.PageAsync("image?image=local/hidden:1", HttpStatusCode.NotFound);
        await browser.PageAsync("settings", HttpStatusCode.Forbidden);
        Assert.Equal(HttpStatusCode.SeeOther, await browser.PostAsync("logout", "images", []));
        await browser.PageAsync("images", HttpStatusCode.Redirect);

        Assert.Equal(HttpStatusCode.SeeOther, await browser.LogInAsync("brief", "secret"));
        await Until.TrueAsync(
            async () =>
            {
                using var response = await browser.SendAsync(HttpMethod.Get, "images", null);
                return response.StatusCode == HttpStatusCode.Redirect;
            },
            () => "The session outlives its token.");

        async Task AnswerAsync(HttpContext http)
        {
            var login = http.Request.Headers.Authorization.ToString();
            if (http.Request.Path != "/token")
                elsewhere++;
            var user = new[] { "alice", "forger", "moved", "brief" }
                .FirstOrDefault(name => login == $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:secret"))}");
            // It gives the last one a token that ends at once, and no other one.
            if (user is null || user == "brief" && Interlocked.Increment(ref briefs) > 1)
                http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            else if (user == "moved")
                http.Response.Redirect("/elsewhere");
            else
            {
                using var other = RSA.Create(2048);
                var claims = Claims([.. http.Request.Query["scope"].OfType<string>().Where(scope => scope.Contains("local/app"))]);
                // Sixty seconds are forgiven, and it has five more.
                if (user == "brief")
                    claims.With("exp", DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 55);
                await http.Response.WriteAsJsonAsync(
                    new { token = Good("RS256", Rs256(user == "forger" ? other : _key), claims), expires_in = 300 });
            }
        }
    }

    private async Task<HttpStatusCode> PutAsync(HttpMethod method, string path, string body, string? type, string token)
    {
        using var request = new HttpRequestMessage(method, new Uri(_registry!.Url, $"/v2/{path}")) { Content = new StringContent(body) };
        request.Content.Headers.Remove("Content-Type");
        if (type is not null)
            request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        using var response = await Http.Client.SendAsync(request, Cancel);
        return response.StatusCode;
    }

    private string Good(string algorithm, Func<byte[], byte[]> sign, JsonObject? claims = null) =>
        Sign(Header(algorithm, ("kid", Thumbprint(_key))), claims ?? Claims(), sign);

    private string Bundle(string pem) => $"rootcertbundle: {_folder.Write("bundle.pem", pem)}";

    private async Task<HttpStatusCode> StatusAsync(string token)
    {
        using var response = await _registry!.GetAsync("", ("Authorization", $"Bearer {token}"));
        return response.StatusCode;
    }

    private Task StartAsync(params string[] lines) => StartAsync(new Uri("https://tokens.example/token"), lines);

    private async Task StartAsync(Uri realm, params string[] lines)
    {
        MirrorProcess.Availability.OrSkip();
        string[] all = ["auth:", "  token:", $"    realm: {realm}", $"    service: {Service}", $"    issuer: {Issuer}",
            .. lines.Where(line => line.Length > 0).Select(line => $"    {line}")];
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { More = string.Join('\n', all) + '\n' });
    }
}
