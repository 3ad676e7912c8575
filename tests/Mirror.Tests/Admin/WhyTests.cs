using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary><c>why</c>: what the last requests for an image did, and why upstream was asked.</summary>
public sealed class WhyTests : MirrorOfHub
{
    private static readonly HubBlob Layer = HubBlob.Seeded(1, 30_000);

    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, TagsCacheTtl = "10m" };

    [Fact]
    public async Task It_names_each_request_upstream_and_its_reason()
    {
        var image = Hub.AddImage(Repository, "1", Layer);
        await Mirror.PullAsync(Repository, "1", [image.Config.Digest, Layer.Digest]);
        await Mirror.PullAsync(Repository, "1", [Layer.Digest]);
        using (var head = await Mirror.HeadAsync(ManifestPath("1")))
            Assert.True(head.IsSuccessStatusCode);

        var why = await Mirror.AdminAsync("why?image=library/nginx:1");
        Assert.Equal(image.Digest.ToString(), why.GetProperty("digest").GetString());
        Assert.Equal((2, 1), (why.GetProperty("served").GetInt32(), why.GetProperty("looks").GetInt32()));
        // A HEAD waits for the blob to be stored, and may ask upstream as well.
        var requests = why.GetProperty("requests").EnumerateArray()
            .Where(request => request.GetProperty("asked").GetString() != "HEAD blob").ToList();
        Assert.Equal(3, requests.Count);
        var manifest = Assert.Single(requests, request => request.GetProperty("of").GetString() == "1");
        Assert.Contains("has no recent check of the tag", manifest.GetProperty("why").GetString());
        Assert.Contains("fetched from upstream", manifest.GetProperty("outcome").GetString());
        Assert.Contains(
            manifest.GetProperty("upstream").EnumerateArray(),
            line => line.GetString()!.StartsWith($"HEAD {Hub.Url.Authority}/v2/library/nginx/manifests/1: 200", StringComparison.Ordinal));
        var blob = Assert.Single(requests, request => request.GetProperty("of").GetString() == Layer.Digest.ToString());
        Assert.Equal("GET blob", blob.GetProperty("asked").GetString());
        Assert.NotEqual(0, blob.GetProperty("upstream").GetArrayLength());
        Assert.DoesNotContain("verify=", why.ToString());

        var (code, output) = await Mirror.VerbAsync("why", "library/nginx:1");
        Assert.Equal(0, code);
        Assert.Contains("because:", output);
    }

    [Fact]
    public async Task It_says_what_upstream_refused()
    {
        Hub.AddImage(Repository, "1", Layer);
        using (var missing = await Mirror.GetAsync(ManifestPath("gone")))
            Assert.False(missing.IsSuccessStatusCode);

        var request = Assert.Single((await Mirror.AdminAsync("why?image=library/nginx:gone")).GetProperty("requests").EnumerateArray());
        Assert.Contains("upstream does not have it", request.GetProperty("outcome").GetString());
    }

    [Fact]
    public async Task It_keeps_the_last_requests_only()
    {
        for (var i = 0; i < 20; i++)
            using (await Mirror.GetAsync(BlobPath(Digest.Of([(byte)i]))))
            {
            }
        for (var i = 0; i < 20; i++)
            using (await Mirror.GetAsync(BlobPath(Digest.Of([1]))))
            {
            }

        var requests = (await Mirror.AdminAsync("why?image=library/nginx")).GetProperty("requests").EnumerateArray();
        Assert.Equal(8, requests.Count(request => request.GetProperty("of").GetString() == Digest.Of([1]).ToString()));
    }

    [Fact]
    public async Task A_hosted_repository_asks_no_upstream()
    {
        await new PushedRepository(Mirror, "local/app").PushManifestAsync("1");
        await Mirror.PullAsync("local/app", "1");

        var why = await Mirror.AdminAsync("why?image=local/app:1");
        Assert.Contains("no upstream is asked", why.GetProperty("source").GetString());
        Assert.Equal((1, 0), (why.GetProperty("served").GetInt32(), why.GetProperty("requests").GetArrayLength()));
    }
}
