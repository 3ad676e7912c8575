using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Access;

/// <summary><c>proxy.private: client</c> for two upstreams: each gets the logins that are for it, and no other.</summary>
public sealed class PrivateImagesOfTwoUpstreamsTests : IAsyncDisposable
{
    private readonly Registry _first = new("alice", 1);
    private readonly Registry _second = new("bob", 2);
    private readonly List<IAsyncDisposable> _started = [];
    private MirrorProcess _mirror = null!;

    private static readonly string Alice = Basic("first.example/alice");
    private static readonly string Bob = Basic("second.example/bob");

    // Without a login, without a registry, with a wrong password, and with the name of a registry that there is not.
    private static readonly string?[] Strangers =
    [
        null, Basic("alice"), Basic("bob"), Basic("first.example/alice", "wrong"), Basic("second.example/bob", "wrong"),
        Basic("third.example/alice"), Basic("third.example/bob"),
    ];

    public async ValueTask DisposeAsync()
    {
        foreach (var one in _started.AsEnumerable().Reverse())
            await one.DisposeAsync();
    }

    [Fact]
    public async Task Cold_and_cached_and_with_one_of_them_away_each_image_is_for_its_own_user()
    {
        await StartAsync("5m");
        for (var round = 0; round < 2; round++)
        {
            // The second repository of each upstream has the same layer.
            foreach (var path in _first.Paths("private/app").Concat(_first.Paths("private/shared")))
                await AssertAsync(path, Alice, [Bob, .. Strangers]);
            foreach (var path in _second.Paths("second.example/private/app").Concat(_second.Paths("second.example/private/shared")))
                await AssertAsync(path, Bob, [Alice, .. Strangers]);
        }
        using (var refused = await _mirror.GetAsync("second.example/private/app/manifests/1", ("Authorization", Basic("bob"))))
            Assert.Contains(
                "log in to this mirror as second.example/USER",
                await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);

        await _second.Server.StopAsync(TestContext.Current.CancellationToken);
        foreach (var path in _second.Paths("second.example/private/app"))
        {
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(path, Bob));
            foreach (var client in Strangers.Append(Alice))
                await AssertNothingAsync(path, client);
        }
        foreach (var path in _first.Paths("private/app"))
            await AssertAsync(path, Alice, [Bob, .. Strangers]);

        // Both are away.
        await _first.Server.StopAsync(TestContext.Current.CancellationToken);
        foreach (var (paths, owner, other) in new[]
        {
            (_first.Paths("private/app"), Alice, Bob), (_first.Paths("private/shared"), Alice, Bob),
            (_second.Paths("second.example/private/app"), Bob, Alice), (_second.Paths("second.example/private/shared"), Bob, Alice),
        })
            foreach (var path in paths)
            {
                Assert.Equal((path, HttpStatusCode.OK), (path, await StatusAsync(path, owner)));
                foreach (var client in Strangers.Append(other))
                    await AssertNothingAsync(path, client);
            }
        // What was never here is not served to any client.
        foreach (var client in Strangers.Concat([Alice, Bob]))
            foreach (var path in _first.Paths("private/cold"))
                await AssertNothingAsync(path, client);

        Assert.Equal(["alice"], _first.Users);
        Assert.Equal(["bob"], _second.Users);
    }

    [Fact]
    public async Task A_password_for_a_registry_that_is_not_configured_is_sent_to_none()
    {
        await StartAsync("5m", hasSecond: false);
        foreach (var path in _first.Paths("private/app"))
            await AssertAsync(path, Basic("alice"), [Bob, Basic("third.example/alice")]);
        Assert.Equal(["alice"], _first.Users);
    }

    [Fact]
    public async Task A_login_that_one_of_them_withdraws_is_refused_there()
    {
        await StartAsync("1s");
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("private/app/manifests/1", Alice));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("second.example/private/app/manifests/1", Bob));
        _first.IsRevoked = true;
        await Until.TrueAsync(
            async () => await StatusAsync("private/app/manifests/1", Alice) == HttpStatusCode.Unauthorized, () => "It is still let in.");
        foreach (var path in _first.Paths("private/app"))
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(path, Alice));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("second.example/private/app/manifests/1", Bob));

        // Both are away, and the time of every proof is over: neither the withdrawn login nor the right one gets anything.
        await _first.Server.StopAsync(TestContext.Current.CancellationToken);
        await _second.Server.StopAsync(TestContext.Current.CancellationToken);
        foreach (var path in _first.Paths("private/app"))
            await AssertNothingAsync(path, Alice);
        foreach (var path in _second.Paths("second.example/private/app"))
            await Until.TrueAsync(
                async () => await StatusAsync(path, Bob) == HttpStatusCode.ServiceUnavailable, () => $"{path} is still served.");
        foreach (var path in _first.Paths("private/app"))
            await AssertNothingAsync(path, Alice);
    }

    private static string Basic(string user, string password = PasswordFile.Password) => PasswordFile.Basic(user, password);

    private async Task StartAsync(string ttl, bool hasSecond = true)
    {
        MirrorProcess.Availability.OrSkip();
        foreach (var registry in new[] { _first, _second })
            _started.Add(await registry.StartAsync());
        var variables = new Dictionary<string, string>
        {
            ["REGISTRY_PROXY_NAME"] = "first.example",
            ["REGISTRY_PROXY_PRIVATE"] = "client",
            ["REGISTRY_PROXY_PRIVATE_TTL"] = ttl,
        };
        if (hasSecond)
        {
            variables["REGISTRY_PROXY_UPSTREAMS_0_REMOTEURL"] = _second.Url.GetLeftPart(UriPartial.Authority);
            variables["REGISTRY_PROXY_UPSTREAMS_0_NAME"] = "second.example";
            variables["REGISTRY_PROXY_UPSTREAMS_0_PRIVATE"] = "client";
        }
        _mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = _first.Url, Environment = variables });
        _started.Add(_mirror);
    }

    private async Task AssertAsync(string path, string owner, IEnumerable<string?> others)
    {
        foreach (var client in others)
            Assert.True(await StatusAsync(path, client) == HttpStatusCode.Unauthorized, $"{client} {path}");
        Assert.Equal((path, HttpStatusCode.OK), (path, await StatusAsync(path, owner)));
    }

    private async Task AssertNothingAsync(string path, string? client)
    {
        var status = await StatusAsync(path, client);
        Assert.True(status is HttpStatusCode.Unauthorized or HttpStatusCode.ServiceUnavailable, $"{client} {path}: {status}");
    }

    private async Task<HttpStatusCode> StatusAsync(string path, string? client)
    {
        using var response = await _mirror.SendAsync(HttpMethod.Get, path, client is null ? [] : [("Authorization", client)]);
        return response.StatusCode;
    }

    /// <summary>A registry with one user and one image, which remembers who sent it a login.</summary>
    private sealed class Registry(string user, int seed)
    {
        private readonly TestImage _image = TestImage.Create(seed, layerBytes: 2000);
        private readonly ConcurrentDictionary<string, bool> _users = new();

        public Uri Url { get; } = new($"http://127.0.0.1:{Ports.Free()}");

        public WebApplication Server { get; private set; } = null!;

        public volatile bool IsRevoked;

        public IEnumerable<string> Users => _users.Keys.Order();

        public IEnumerable<string> Paths(string name) =>
        [
            $"{name}/manifests/1", $"{name}/manifests/{_image.Digest}", $"{name}/blobs/{_image.Layers[0].Digest}", $"{name}/tags/list",
            $"{name}/referrers/{_image.Digest}",
        ];

        public async Task<WebApplication> StartAsync() => Server = await OwnServer.StartAsync(Url, AnswerAsync);

        private (string List, string Type)? ListOf(string path) =>
            path.EndsWith("/tags/list", StringComparison.Ordinal)
                ? ($$"""{"name":"{{path["/v2/".Length..^"/tags/list".Length]}}","tags":["1"]}""", "application/json")
            : path.EndsWith($"/referrers/{_image.Digest}", StringComparison.Ordinal)
                ? ("""{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}""", MediaTypes.OciIndex)
            : null;

        private async Task AnswerAsync(HttpContext http)
        {
            var (login, response) = (http.Request.Headers.Authorization.ToString(), http.Response);
            if (login.Length > 0)
                _users[Encoding.UTF8.GetString(Convert.FromBase64String(login["Basic ".Length..])).Split(':')[0]] = true;
            if (login != Basic(user) || IsRevoked)
            {
                response.StatusCode = 401;
                response.Headers.WWWAuthenticate = "Basic realm=\"registry\"";
                return;
            }
            var path = http.Request.Path.Value!;
            if (ListOf(path) is var (list, type))
            {
                response.ContentType = type;
                await response.WriteAsync(list, http.RequestAborted);
                return;
            }
            var layer = _image.Layers.FirstOrDefault(layer => path.EndsWith($"/blobs/{layer.Digest}", StringComparison.Ordinal));
            var isManifest = path.EndsWith("/manifests/1", StringComparison.Ordinal)
                || path.EndsWith($"/manifests/{_image.Digest}", StringComparison.Ordinal);
            if (layer is null && !isManifest)
            {
                response.StatusCode = path is "/v2/" ? 200 : 404;
                return;
            }
            var bytes = layer?.Bytes ?? _image.Manifest;
            response.ContentType = layer is null ? _image.Types.Manifest : "application/octet-stream";
            response.Headers["Docker-Content-Digest"] = (layer?.Digest ?? _image.Digest).ToString();
            response.ContentLength = bytes.Length;
            if (!HttpMethods.IsHead(http.Request.Method))
                await response.Body.WriteAsync(bytes, http.RequestAborted);
        }
    }
}
