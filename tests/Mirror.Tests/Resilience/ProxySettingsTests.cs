using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>What each setting of section <c>proxy</c> changes for clients.</summary>
public sealed class ProxySettingsTests : MirrorOfHub
{
    [Fact]
    public async Task A_further_upstream_is_reached_by_ns_and_by_name_and_no_other_registry_is()
    {
        await using var second = await ScriptedHub.StartAsync("127.0.0.2");
        await using var mirror = await StartAsync($"  upstreams:\n  - name: ghcr.io\n    remoteurl: {second.Registry.Url}\n");
        var layer = HubBlob.Seeded(1, 1000);
        var image = second.AddImage("owner/app", "latest", layer);
        Hub.AddImage("owner/app", "latest", HubBlob.Seeded(2, 1000));
        foreach (var (path, expectedNamespace) in new[]
        {
            ("/v2/owner/app/manifests/latest?ns=ghcr.io", "ghcr.io"),
            ("/v2/ghcr.io/owner/app/manifests/latest", null),
            ("/ghcr.io/v2/owner/app/manifests/latest", null),
        })
        {
            using var response = await GetAsync(mirror, path);
            Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
            Assert.Equal(expectedNamespace, response.Headers.TryGetValues("OCI-Namespace", out var ns) ? ns.Single() : null);
        }
        using (var blob = await GetAsync(mirror, $"/v2/owner/app/blobs/{layer.Digest}?ns=ghcr.io"))
            Assert.Equal(layer.Digest, await DigestOfAsync(blob));
        Assert.Equal(1, second.Pulls);
        Assert.Empty(Hub.Log.Requests);

        second.Log.Clear();
        foreach (var path in new[]
        {
            "/v2/owner/app/manifests/latest?ns=quay.io", "/v2/quay.io/owner/app/manifests/latest", "/quay.io/v2/owner/app/manifests/latest",
            "/v2/owner/app/manifests/latest?ns=127.0.0.2:80",
        })
            using (var response = await GetAsync(mirror, path))
                await AssertErrorAsync(HttpStatusCode.NotFound, response);
        Assert.Empty(Hub.Log.Requests);
        Assert.Empty(second.Log.Requests);
    }

    [Fact]
    public async Task One_upstream_that_is_down_leaves_the_other_alone()
    {
        await using var second = await ScriptedHub.StartAsync("127.0.0.2");
        await using var mirror = await StartAsync($"  upstreams:\n  - name: ghcr.io\n    remoteurl: {second.Registry.Url}\n");
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        await second.Registry.TakeDownAsync();
        for (var i = 0; i < 5; i++)
            using (var down = await GetAsync(mirror, $"/v2/ghcr.io/owner/app/manifests/v{i}"))
                await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, down);
        using var response = await mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData(Asked.Manifest)]
    [InlineData(Asked.Token)]
    public async Task An_account_that_gets_429_is_paused_and_the_next_one_is_used(Asked where)
    {
        Hub.Account = ("ann", "one");
        await using var mirror = await StartAsync(
            "  credentials:\n  - {username: ann, password: one}\n  - {username: ann, password: one}\n");
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        Hub.AddImage(Repository, "other", HubBlob.Seeded(2, 1000));
        Hub.Script(where, Answer.TooManyRequests("3600"), times: 1);
        using (var response = await mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);

        // Both accounts are paused: only stored content is served.
        Hub.RevokeTokens();
        Hub.Script(where, Answer.TooManyRequests("1800"), times: 1);
        using (var limited = await mirror.GetAsync(ManifestPath("other")))
        {
            await AssertErrorAsync(HttpStatusCode.TooManyRequests, limited);
            Assert.InRange(limited.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 1800);
        }
        var asked = Hub.Log.Requests.Count;
        using (var cached = await mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, cached.StatusCode);
        using (var limited = await mirror.GetAsync(ManifestPath("other")))
            await AssertErrorAsync(HttpStatusCode.TooManyRequests, limited);
        Assert.Equal(asked, Hub.Log.Requests.Count);
    }

    [Fact]
    public async Task An_account_whose_login_is_refused_leaves_its_requests_to_the_next()
    {
        Hub.Account = ("ann", "one");
        await using var mirror = await StartAsync(
            "  credentials:\n  - {username: ann, password: run-out}\n  - {username: ann, password: one}\n");
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using var response = await mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task When_little_is_left_of_the_limit_it_is_kept_for_pulls()
    {
        await using var mirror = await StartAsync("  tags_cache_ttl: 0\n  stale_while_revalidate: true\n");
        Hub.PullLimit = 10;
        for (var i = 0; i < 5; i++)
        {
            Hub.AddImage(Repository, $"v{i}", HubBlob.Seeded(i, 1000));
            using var pulled = await mirror.GetAsync(ManifestPath($"v{i}"));
            Assert.Equal(HttpStatusCode.OK, pulled.StatusCode);
        }
        // Five pulls are left. The mirror checks moved tags, which costs no pull, but does not fetch their manifests in the background.
        for (var i = 0; i < 5; i++)
            Hub.AddImage(Repository, $"v{i}", HubBlob.Seeded(10 + i, 1000));
        Hub.Log.Clear();
        for (var i = 0; i < 5; i++)
            using (var stale = await mirror.GetAsync(ManifestPath($"v{i}")))
                Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(stale));
        await Until.TrueAsync(
            () => Hub.Log.Requests.Count(r => r.Method == "HEAD" && r.Status == 200) == 5, () => "The tags are not checked.");
        Hub.AddImage(Repository, "new", HubBlob.Seeded(20, 1000));
        using (var pull = await mirror.GetAsync(ManifestPath("new")))
            Assert.Equal(HttpStatusCode.OK, pull.StatusCode);
        Assert.Equal(6, Hub.Pulls);

        // With more pulls left, it fetches them.
        Hub.PullLimit = 1000;
        await Until.TrueAsync(
            async () =>
            {
                for (var i = 0; i < 5; i++)
                    using (await mirror.GetAsync(ManifestPath($"v{i}")))
                    {
                    }
                return Hub.Pulls >= 11;
            },
            () => "The moved tags are never fetched.");
    }

    [Fact]
    public async Task A_tag_older_than_max_stale_is_not_served_unchecked()
    {
        await using var mirror = await StartAsync("  tags_cache_ttl: 0\n  max_stale: 0\n");
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (await mirror.GetAsync(ManifestPath("latest")))
            await Hub.Registry.TakeDownAsync();
        using var byTag = await mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, byTag);
        using var byDigest = await mirror.GetAsync(ManifestPath(image.Digest));
        Assert.Equal(HttpStatusCode.OK, byDigest.StatusCode);
    }

    [Fact]
    public async Task Stale_while_revalidate_answers_first_and_asks_upstream_afterwards()
    {
        await using var mirror = await StartAsync("  tags_cache_ttl: 0\n  stale_while_revalidate: true\n");
        var old = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (await mirror.GetAsync(ManifestPath("latest")))
        {
        }
        var now = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 1000));
        var gate = new Gate();
        using (Hub.Script(Asked.Manifest, Answer.HeldBy(gate)))
        using (var response = await mirror.GetAsync(ManifestPath("latest")))
        {
            Assert.Equal(old.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
            Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(response));
            gate.Open();
        }
        await Until.TrueAsync(
            async () =>
            {
                using var response = await mirror.GetAsync(ManifestPath("latest"));
                return (await response.Content.ReadAsByteArrayAsync(Cancel)).AsSpan().SequenceEqual(now.Bytes);
            },
            () => "The tag never moves.");
    }

    [Fact]
    public async Task An_immutable_tag_is_asked_for_once()
    {
        await using var mirror = await StartAsync("  tags_cache_ttl: 0\n  immutable_tags: ['v*.*.*']\n");
        Hub.AddImage(Repository, "v1.2.3", HubBlob.Seeded(1, 1000));
        using (await mirror.GetAsync(ManifestPath("v1.2.3")))
            Hub.Log.Clear();
        await mirror.StopAsync();
        await mirror.StartAgainAsync();
        using var response = await mirror.GetAsync(ManifestPath("v1.2.3"));
        Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(response));
        Assert.Empty(Hub.Log.Requests);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Parallel_ranges_bring_a_large_blob_once_even_over_a_link_that_breaks(bool breaks)
    {
        await using var mirror = await StartAsync("  parallel_ranges: 3\n");
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, 20 << 20));
        if (breaks)
            Hub.Fault(blob.Digest, BlobFault.ClosedAt(5 << 20), times: 2);
        using (var response = await mirror.GetAsync(BlobPath(blob.Digest)))
            Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.All(Hub.Log.Requests.Where(r => r.Asked == Asked.BlobBytes), request => Assert.NotNull(request.Range));
        Assert.InRange(Hub.Log.Count(Asked.BlobBytes), 5, breaks ? 8 : 5);
        if (!breaks)
            Assert.Equal(blob.Size, Hub.Log.BodyBytes(blob.Digest));
    }

    [Theory]
    [InlineData(200)]
    [InlineData(400)]
    [InlineData(416)]
    public async Task Without_ranges_at_the_CDN_parallel_ranges_become_one_connection(int status)
    {
        await using var mirror = await StartAsync("  parallel_ranges: 3\n");
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, 20 << 20));
        Hub.Fault(blob.Digest, status == 200 ? BlobFault.RangeIgnored : BlobFault.RangeRefused(status), times: 100);
        using (var response = await mirror.GetAsync(BlobPath(blob.Digest)))
            Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.InRange(Hub.Log.Count(Asked.BlobBytes), 1, 6);
    }

    [Fact]
    public async Task Fail_fast_answers_so_that_the_client_can_go_elsewhere()
    {
        await using var mirror = await StartAsync("  fail_fast: 100ms\n");
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        var gate = new Gate();
        using (Hub.Script(r => r.Origin == "registry", Answer.HeldBy(gate)))
            foreach (var path in new[] { ManifestPath("latest"), BlobPath(HubBlob.Seeded(1, 1000).Digest) })
                using (var response = await mirror.GetAsync(path))
                    await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        // Upstream has answered nothing yet, and the mirror has cancelled nothing: it has the manifest once upstream answers.
        Assert.All(Hub.Log.Requests, request => Assert.Equal(0, request.Status));
        gate.Open();
        await Until.TrueAsync(
            async () =>
            {
                using var response = await mirror.GetAsync(ManifestPath("latest"));
                return response.StatusCode == HttpStatusCode.OK;
            },
            () => "The manifest never comes.");
    }

    private Task<MirrorProcess> StartAsync(string proxy) =>
        MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, More = proxy });

    private static async Task<HttpResponseMessage> GetAsync(MirrorProcess mirror, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(mirror.Url, path));
        request.Headers.TryAddWithoutValidation("Accept", $"{MediaTypes.DockerManifest}, {MediaTypes.OciManifest}");
        return await Http.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
    }
}
