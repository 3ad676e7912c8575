using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary><c>proxy.min_free</c> that is larger than the volume: no eviction can reach it.</summary>
public sealed class UnreachableFloorTests : MirrorOfHub
{
    // No volume counts as larger than 64 PiB.
    protected override MirrorSettings Settings(ScriptedHub hub) =>
        new() { Upstream = hub.Url, Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MIN_FREE"] = "70000TiB" } };

    [Fact]
    public async Task The_cache_keeps_what_it_stores_and_the_start_and_check_config_say_what_is_wrong()
    {
        var layer = HubBlob.Seeded(1, 300_000);
        Hub.AddImage(Repository, "latest", layer);
        using (var manifest = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        using (var response = await Mirror.GetAsync(BlobPath(layer.Digest)))
            Assert.Equal(layer.Digest, await DigestOfAsync(response));
        await Mirror.UntilStoredAsync(BlobPath(layer.Digest));

        Assert.Contains(Mirror.Log, line => line.Contains("proxy.min_free: 70000.0 TiB can never be free", StringComparison.Ordinal));
        var (code, output) = await Mirror.RunAsync("check-config");
        Assert.Equal(0, code);
        Assert.Contains("warning: proxy.min_free: 70000.0 TiB can never be free", output, StringComparison.Ordinal);

        // The second look at the store, with what is stored by now.
        await Mirror.KillAsync();
        await Mirror.StartAgainAsync();
        await Until.TrueAsync(
            async () => await Mirror.MetricAsync("mirror_cache_bytes") >= layer.Size, () => string.Join('\n', Mirror.Log));
        Hub.Log.Clear();
        using (var response = await Mirror.GetAsync(BlobPath(layer.Digest)))
            Assert.Equal(layer.Digest, await DigestOfAsync(response));
        Assert.Equal(0, Hub.Log.BodyBytes(layer.Digest));
        Assert.Equal(0, await Mirror.MetricAsync("mirror_cache_evictions_total"));
    }
}
