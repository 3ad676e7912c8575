using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;
using static Mirror.Tests.Access.TokenForge;

namespace Mirror.Tests.Access;

/// <summary><c>proxy.private</c>, before Debian's docker-registry with a token server, and with a password file.</summary>
public sealed class PrivateImagesTests : IAsyncDisposable
{
    private const string Right = "alice";
    private const string Wrong = "mallory";

    private readonly TempFolder _folder = new();
    private readonly RSA _key = RSA.Create(2048);
    private readonly X509Certificate2 _certificate;
    private readonly TestImage _public = TestImage.Create(1, layerBytes: 2000);
    private readonly TestImage _private = TestImage.Create(2, layerBytes: 2000);
    private readonly ConcurrentDictionary<string, int> _logins = new();
    private readonly List<IAsyncDisposable> _started = [];
    private volatile bool _isRevoked;
    // Holds the token server's answers to wrong logins.
    private volatile Gate? _gate;
    private WebApplication? _tokens;
    private MirrorProcess _mirror = null!;

    public PrivateImagesTests() => _certificate = SelfSigned("token server", _key);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private IEnumerable<string> PrivatePaths =>
    [
        "private/app/manifests/1", $"private/app/manifests/{_private.Digest}", $"private/app/blobs/{_private.Layers[0].Digest}",
        $"private/app/blobs/{_public.Layers[0].Digest}", "private/app/tags/list", $"private/app/referrers/{_private.Digest}",
    ];

    [Fact]
    public async Task A_private_image_is_for_whom_upstream_lets_cold_and_cached_and_while_upstream_is_away()
    {
        var registry = await StartUpstreamAsync();
        _mirror = await StartMirrorAsync(registry.Url, "client", "5m");

        // 1. docker learns at /v2/ where to log in.
        using (var ping = await _mirror.GetAsync(""))
            Assert.Equal(
                $"Bearer realm=\"{_mirror.Url}auth/token\",service=\"mirror\"", ping.Headers.NonValidated["WWW-Authenticate"].ToString());
        var anonymous = $"Bearer {await TokenAsync(null)}";
        var wrong = PasswordFile.Basic(Wrong);
        var wrongByToken = $"Bearer {await TokenAsync(wrong)}";
        var right = PasswordFile.Basic(Right);
        var rightByToken = $"Bearer {await TokenAsync(right)}";
        string?[] strangers = [null, anonymous, wrong, wrongByToken, "Bearer x", PasswordFile.Basic(Right, "old password")];
        using (var ping = await _mirror.GetAsync("", ("Authorization", anonymous)))
            Assert.Equal(HttpStatusCode.OK, ping.StatusCode);

        // 2. Nothing stored, with upstream up: no stranger gets a byte, and the client that may read gets all.
        await AssertRefusedAsync(strangers, HttpStatusCode.Unauthorized);
        await AssertServedAsync(rightByToken);

        // 3. Cached, with upstream up.
        await AssertRefusedAsync(strangers, HttpStatusCode.Unauthorized);
        await AssertServedAsync(right);
        // Public images are for all, and no login is turned away that was sent unasked.
        foreach (var client in strangers.Append(right))
            foreach (var path in new[] { "public/app/manifests/1", $"public/app/blobs/{_public.Layers[0].Digest}", "public/app/tags/list" })
                Assert.Equal(HttpStatusCode.OK, await StatusAsync(path, client));

        // 4. Names, and blobs by another way.
        Assert.DoesNotContain("private/app", await TextAsync("_catalog", anonymous));
        Assert.Contains("public/app", await TextAsync("_catalog", anonymous));
        Assert.Contains("private/app", await TextAsync("_catalog", right));
        await Until.TrueAsync(
            async () => (await TextAsync("../ui/images", right)).Contains("private/app", StringComparison.Ordinal),
            () => "The pages do not show the private image to its owner.");
        var page = await TextAsync("../ui/images", anonymous);
        Assert.Contains("public/app", page);
        Assert.DoesNotContain("private/app", page);
        var mount = $"local/mine/blobs/uploads/?mount={_private.Layers[0].Digest}";
        Assert.Equal(HttpStatusCode.Accepted, await StatusAsync($"{mount}&from=private/app", anonymous, HttpMethod.Post));
        Assert.Equal(HttpStatusCode.Accepted, await StatusAsync(mount, wrong, HttpMethod.Post));
        Assert.Equal(HttpStatusCode.Created, await StatusAsync($"{mount}&from=private/app", right, HttpMethod.Post));

        // 5. What a proxy passes on unasked is the proxy's own login: it goes nowhere.
        var before = _logins.Values.Sum();
        using (var passedOn = await _mirror.GetAsync(
            "private/app/manifests/1", ("Authorization", PasswordFile.Basic("front", "secret")), ("X-Forwarded-For", "192.0.2.1")))
            Assert.Equal(HttpStatusCode.Forbidden, passedOn.StatusCode);
        Assert.Equal(before, _logins.Values.Sum());

        // 6. Upstream is away: who was let in lately, and public images.
        await registry.StopAsync();
        await _tokens!.StopAsync(Cancel);
        await AssertRefusedAsync([null, wrong], HttpStatusCode.Unauthorized, HttpStatusCode.ServiceUnavailable);
        await AssertServedAsync(rightByToken, isAway: true);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("public/app/manifests/1", anonymous));

        Assert.DoesNotContain(_mirror.Log, line => line.Contains(PasswordFile.Password, StringComparison.Ordinal));
        Assert.Equal([Right, Wrong], _logins.Keys.Order());
    }

    [Fact]
    public async Task A_login_that_upstream_withdraws_is_refused()
    {
        var registry = await StartUpstreamAsync();
        _mirror = await StartMirrorAsync(registry.Url, "client", "1s", tagsTtl: "0");
        var right = PasswordFile.Basic(Right);
        await AssertServedAsync(right);
        _isRevoked = true;
        await Until.TrueAsync(
            async () => await StatusAsync("private/app/manifests/1", right) == HttpStatusCode.Unauthorized, () => "It is still let in.");
        await AssertRefusedAsync([right], HttpStatusCode.Unauthorized);
        _isRevoked = false;
        await Until.TrueAsync(
            async () => await StatusAsync("private/app/manifests/1", right) == HttpStatusCode.OK, () => "It is not let in again.");
        await registry.StopAsync();
        await _tokens!.StopAsync(Cancel);
        foreach (var path in PrivatePaths)
            await Until.TrueAsync(
                async () => await StatusAsync(path, right) == HttpStatusCode.ServiceUnavailable, () => $"{path} is served.");
    }

    [Fact]
    public async Task A_mount_for_which_upstream_is_asked_holds_up_no_catalog()
    {
        var registry = await StartUpstreamAsync();
        _mirror = await StartMirrorAsync(registry.Url, "client", "5m");
        await AssertServedAsync(PasswordFile.Basic(Right));
        var gate = new Gate();
        _gate = gate;
        // As many as may read the names of all repositories at a time.
        var mounts = Enumerable.Range(0, Math.Max(1, Environment.ProcessorCount / 2))
            .Select(_ => StatusAsync(
                $"local/mine/blobs/uploads/?mount={_private.Layers[0].Digest}", PasswordFile.Basic(Wrong), HttpMethod.Post))
            .ToList();
        await Task.WhenAny([gate.Reached, .. mounts]);
        Assert.Contains("private/app", await TextAsync("_catalog", PasswordFile.Basic(Right)));
        Assert.DoesNotContain(mounts, mount => mount.IsCompleted);
        gate.Open();
        Assert.All(await Task.WhenAll(mounts), status => Assert.Equal(HttpStatusCode.Accepted, status));
    }

    [Theory]
    [InlineData("client", HttpStatusCode.OK, HttpStatusCode.Unauthorized)]
    [InlineData("off", HttpStatusCode.Forbidden, HttpStatusCode.Forbidden)]
    [InlineData("account", HttpStatusCode.OK, HttpStatusCode.OK)]
    public async Task Before_a_registry_with_passwords(string mode, HttpStatusCode right, HttpStatusCode others)
    {
        await FillAsync();
        var registry = await DockerRegistry.StartAsync(driver: Driver, more: PasswordFile.Section(_folder));
        _started.Add(registry);
        // The mirror has an account that may read everything.
        _mirror = await StartMirrorAsync(registry.Url, mode, "5m", account: "erin");
        foreach (var path in new[] { "private/app/manifests/1", $"private/app/blobs/{_private.Layers[0].Digest}" })
            foreach (var (client, expected) in new[]
            {
                (null, others), (PasswordFile.Basic(Right, "wrong"), others), (PasswordFile.Basic(Right), right), (null, others),
            })
                Assert.Equal(expected, await StatusAsync(path, client));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var one in _started.AsEnumerable().Reverse())
            await one.DisposeAsync();
        _certificate.Dispose();
        _key.Dispose();
        _folder.Dispose();
    }

    private string Driver => $"  filesystem:\n    rootdirectory: {_folder.Folder("upstream")}";

    private async Task FillAsync()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        await using var open = await DockerRegistry.StartAsync(driver: Driver);
        await PushAsync(open.Url, "public/app", _public, []);
        // It shares a layer with the public one.
        await PushAsync(open.Url, "private/app", _private, [_public.Layers[0].Bytes]);
    }

    private async Task<DockerRegistry> StartUpstreamAsync()
    {
        await FillAsync();
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}");
        _tokens = await OwnServer.StartAsync(url, AnswerTokenAsync);
        _started.Add(_tokens);
        var bundle = _folder.Write("bundle.pem", _certificate.ExportCertificatePem());
        var registry = await DockerRegistry.StartAsync(driver: Driver, more:
            $"auth: {{token: {{realm: {url}token, service: {Service}, issuer: {Issuer}, rootcertbundle: {bundle}}}}}\n");
        _started.Add(registry);
        return registry;
    }

    // Lets every client read public/**, and Right read the rest.
    private async Task AnswerTokenAsync(HttpContext http)
    {
        var scope = http.Request.Query["scope"].ToString().Split(':');
        var login = http.Request.Headers.Authorization.ToString();
        var isRight = login == PasswordFile.Basic(Right) && !_isRevoked;
        if (login.Length > 0)
            _logins.AddOrUpdate(
                Encoding.UTF8.GetString(Convert.FromBase64String(login["Basic ".Length..])).Split(':')[0], 1, (_, count) => count + 1);
        if (login.Length > 0 && !isRight)
        {
            if (_gate is { } gate)
                await gate.PassAsync(http.RequestAborted);
            http.Response.StatusCode = 401;
            return;
        }
        var may = scope is [_, var name, _] && (name.StartsWith("public/", StringComparison.Ordinal) || isRight);
        var token = Sign(Header("RS256", ("x5c", X5c(_certificate))), Claims(may ? [string.Join(':', scope)] : []), Rs256(_key));
        await http.Response.WriteAsync(JsonSerializer.Serialize(new { token, expires_in = 300 }), http.RequestAborted);
    }

    private async Task<MirrorProcess> StartMirrorAsync(
        Uri upstream, string mode, string ttl, string? tagsTtl = null, string? account = null)
    {
        var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = upstream,
            TagsCacheTtl = tagsTtl,
            Username = account,
            Password = account is null ? null : PasswordFile.Password,
            Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_PRIVATE"] = mode, ["REGISTRY_PROXY_PRIVATE_TTL"] = ttl },
        });
        _started.Add(mirror);
        return mirror;
    }

    private async Task AssertServedAsync(string client, bool isAway = false)
    {
        foreach (var path in PrivatePaths.Where(path => !isAway || !path.Contains("tags/list", StringComparison.Ordinal)))
        {
            using var response = await _mirror.GetAsync(path, ("Authorization", client));
            Assert.True(response.StatusCode == HttpStatusCode.OK, $"{path}: {response.StatusCode}\n{string.Join('\n', _mirror.Log)}");
            _ = await response.Content.ReadAsByteArrayAsync(Cancel);
            // A client may have all bytes before the blob is stored. Without the stored blob, a mount starts an upload.
            if (path.Contains("/blobs/", StringComparison.Ordinal))
                await _mirror.UntilStoredAsync(path, ("Authorization", client));
        }
    }

    private async Task AssertRefusedAsync(IEnumerable<string?> clients, params HttpStatusCode[] expected)
    {
        foreach (var client in clients)
            foreach (var path in PrivatePaths)
                foreach (var method in new[] { HttpMethod.Head, HttpMethod.Get })
                {
                    var status = await StatusAsync(path, client, method);
                    Assert.True(expected.Contains(status), $"{client}: {method} {path}: {status}\n{string.Join('\n', _mirror.Log)}");
                }
    }

    private async Task<HttpStatusCode> StatusAsync(string path, string? client, HttpMethod? method = null)
    {
        using var response = await _mirror.SendAsync(
            method ?? HttpMethod.Get, path, client is null ? [] : [("Authorization", client)]);
        return response.StatusCode;
    }

    private async Task<string> TextAsync(string path, string client)
    {
        using var response = await _mirror.GetAsync(path, ("Authorization", client));
        return await response.Content.ReadAsStringAsync(Cancel);
    }

    private async Task<string> TokenAsync(string? basic)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Get, new Uri(_mirror.Url, "/auth/token?service=mirror&scope=repository:private/app:pull"));
        if (basic is not null)
            request.Headers.TryAddWithoutValidation("Authorization", basic);
        using var response = await Http.Client.SendAsync(request, Cancel);
        using var json = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancel));
        return json.RootElement.GetProperty("token").GetString()!;
    }

    private static async Task PushAsync(Uri registry, string name, TestImage image, IEnumerable<byte[]> more)
    {
        foreach (var blob in image.Layers.Select(layer => layer.Bytes).Append(image.Config).Concat(more))
        {
            using var start = await Http.Client.PostAsync(new Uri(registry, $"/v2/{name}/blobs/uploads/"), null, Cancel);
            var location = Http.LocationOf(start).AbsoluteUri;
            var separator = location.Contains('?', StringComparison.Ordinal) ? '&' : '?';
            using var put = await Http.Client.PutAsync(
                new Uri($"{location}{separator}digest={Storage.Digest.Of(blob)}"), new ByteArrayContent(blob), Cancel);
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        }
        using var manifest = new ByteArrayContent(image.Manifest);
        manifest.Headers.ContentType = new(image.Types.Manifest);
        using var tagged = await Http.Client.PutAsync(new Uri(registry, $"/v2/{name}/manifests/1"), manifest, Cancel);
        Assert.Equal(HttpStatusCode.Created, tagged.StatusCode);
    }
}
