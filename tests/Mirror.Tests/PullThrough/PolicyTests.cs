using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary><c>policies</c>: settings by repository, for <c>proxy</c> and for one upstream.</summary>
public sealed class PolicyTests : MirrorOfHub
{
    [Fact]
    public async Task The_first_entry_that_matches_a_name_decides_how_long_its_tags_are_fresh()
    {
        await using var mirror = await StartAsync("""
              tags_cache_ttl: 0
              policies:
              - {match: library/nginx, tags_cache_ttl: 1h}
              - {match: [library/*, acme/**], immutable_tags: [v*]}

            """);
        Hub.AddImage("library/nginx", "latest", HubBlob.Seeded(1, 1000));
        foreach (var tag in new[] { "v1", "latest" })
            Hub.AddImage("acme/team/app", tag, HubBlob.Seeded(2, 1000));

        Assert.Equal(0, await CountChecksAsync(mirror, "library/nginx", "latest"));
        Assert.Equal(0, await CountChecksAsync(mirror, "acme/team/app", "v1"));
        Assert.Equal(3, await CountChecksAsync(mirror, "acme/team/app", "latest"));
    }

    [Fact]
    public async Task An_upstream_has_policies_of_its_own_by_its_own_names()
    {
        await using var second = await ScriptedHub.StartAsync("127.0.0.2");
        await using var mirror = await StartAsync($$"""
              tags_cache_ttl: 0
              policies: [{match: "**", deny: only what the second one has}]
              upstreams:
              - {name: ghcr.io, remoteurl: {{second.Registry.Url}}, policies: [{match: acme/*, allow: true}]}

            """);
        var image = second.AddImage("acme/app", "latest", HubBlob.Seeded(1, 1000));
        second.AddImage("other/app", "latest", HubBlob.Seeded(1, 1000));
        using (var allowed = await mirror.GetAsync(ManifestPath("latest", "ghcr.io/acme/app")))
            Assert.Equal(image.Bytes, await allowed.Content.ReadAsByteArrayAsync(Cancel));
        using var denied = await mirror.GetAsync(ManifestPath("latest", "ghcr.io/other/app"));
        Assert.Equal(HttpStatusCode.Forbidden, denied.StatusCode);
    }

    [Theory]
    [InlineData("{match: nginx, deny: no}", HttpStatusCode.Forbidden)]
    [InlineData("{match: docker.io/library/nginx, deny: no}", HttpStatusCode.Forbidden)]
    [InlineData("{match: docker.io/library/*, deny: no}", HttpStatusCode.Forbidden)]
    [InlineData("{match: ng*, deny: no}", HttpStatusCode.Forbidden)]
    [InlineData("{match: docker.io/acme/nginx, deny: no}", HttpStatusCode.OK)]
    public async Task A_pattern_is_read_as_the_name_of_an_image_is(string policy, HttpStatusCode expected)
    {
        await using var mirror = await StartAsync($"  name: docker.io\n  policies: [{policy}]\n");
        Hub.AddImage("library/nginx", "latest", HubBlob.Seeded(1, 1000));

        using var response = await mirror.GetAsync(ManifestPath("latest", "library/nginx"));

        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task What_is_denied_is_refused_with_the_reason_at_each_route_though_it_is_stored_and_upstream_is_not_asked()
    {
        await using var mirror = await StartAsync("");
        var layer = HubBlob.Seeded(1, 1000);
        var image = Hub.AddImage(Repository, "latest", layer);
        using (await mirror.GetAsync(ManifestPath("latest")))
        using (await mirror.GetAsync(BlobPath(layer.Digest)))
        {
        }
        await mirror.ReloadAsync(settings => settings with
        {
            More = "  policies:\n  - {match: library/ubuntu, allow: true}\n  - {match: \"library/*\", deny: use the images of acme}\n",
        });
        Hub.Log.Clear();

        foreach (var path in new[]
        {
            ManifestPath("latest"), ManifestPath(image.Digest), BlobPath(layer.Digest), $"{Repository}/tags/list",
            $"{Repository}/referrers/{image.Digest}",
        })
            using (var response = await mirror.GetAsync(path))
            {
                Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
                var error = (await response.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("errors")[0];
                Assert.Equal("DENIED", error.GetProperty("code").GetString());
                Assert.Equal("use the images of acme", error.GetProperty("detail").GetString());
            }
        using (var head = await mirror.HeadAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.Forbidden, head.StatusCode);
        Assert.Empty(Hub.Log.Requests);

        using (var mounted = await mirror.SendAsync(HttpMethod.Post, $"local/app/blobs/uploads/?mount={layer.Digest}&from={Repository}"))
            Assert.Equal(HttpStatusCode.Accepted, mounted.StatusCode);
        Hub.AddImage("library/ubuntu", "latest", layer);
        using var other = await mirror.GetAsync(ManifestPath("latest", "library/ubuntu"));
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
    }

    // How often upstream is asked for a tag that is stored, and is pulled three times.
    private async Task<int> CountChecksAsync(MirrorProcess mirror, string repository, string tag)
    {
        using (await mirror.GetAsync(ManifestPath(tag, repository)))
            Hub.Log.Clear();
        for (var i = 0; i < 3; i++)
            using (var response = await mirror.GetAsync(ManifestPath(tag, repository)))
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return Hub.Log.Requests.Count(request => request.Path.EndsWith($"/manifests/{tag}", StringComparison.Ordinal));
    }

    private Task<MirrorProcess> StartAsync(string proxy) =>
        MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, More = proxy });
}
