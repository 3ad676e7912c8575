using System.Net;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary><c>proxy.max_size</c> limits mirrored blobs, and no hosted ones.</summary>
public sealed class CacheSizeTests : MirrorOfHub
{
    private const int MiB = 1 << 20;

    protected override MirrorSettings Settings(ScriptedHub hub) =>
        new() { Upstream = hub.Url, Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MAX_SIZE"] = "8MiB" } };

    [Fact]
    public async Task The_least_recently_used_blobs_are_evicted_for_new_ones()
    {
        HubBlob[] old = [.. Enumerable.Range(0, 7).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(i, MiB)))];
        foreach (var (i, blob) in old.Index())
        {
            await PullAsync(blob.Digest);
            Age(blob.Digest, TimeSpan.FromHours(100 - i));
        }
        await PullAsync(old[0].Digest);

        HubBlob[] young = [.. Enumerable.Range(10, 2).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(i, MiB)))];
        foreach (var blob in young)
            await PullAsync(blob.Digest);

        // 9 MiB are stored and 8 are allowed. The eviction leaves 7: a tenth of the limit must be free.
        await Until.TrueAsync(
            async () => await Mirror.MetricAsync("mirror_cache_evictions_total") > 0, () => string.Join('\n', Mirror.Log));
        Assert.Equal([old[1].Digest, old[2].Digest], old.Concat(young).Select(blob => blob.Digest).Where(digest => !IsStored(digest)));
        Assert.Equal(2, await Mirror.MetricAsync("mirror_cache_evictions_total"));
        Assert.Equal(2 * MiB, await Mirror.MetricAsync("mirror_cache_evicted_bytes_total"));
        Assert.Equal(7 * MiB, await Mirror.MetricAsync("mirror_cache_bytes"));
        Assert.False(File.Exists(Path.Combine(Mirror.Root, RegistryLayout.LayerLink(RepositoryName.Parse(Repository), old[1].Digest))));

        // An evicted blob is a miss, and is fetched again.
        Hub.Log.Clear();
        await PullAsync(old[1].Digest);
        await PullAsync(old[0].Digest);
        Assert.Equal(MiB, Hub.Log.BodyBytes());
    }

    [Fact]
    public async Task Pushed_content_and_manifests_stay()
    {
        // The pushed image and the mirrored one share a layer.
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 3 * MiB), HubBlob.Seeded(2, 3 * MiB));
        var hosted = new PushedRepository(Mirror, "local/app");
        await hosted.PushAsync(image.Layers[0].Slice(0, 3 * MiB));
        var (pushed, _) = await hosted.PushManifestAsync("1");
        using (var manifest = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        foreach (var layer in image.Layers)
            await PullAsync(layer.Digest);
        AgeAll();

        foreach (var blob in Enumerable.Range(10, 6).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(i, MiB))))
            await PullAsync(blob.Digest);

        await Until.TrueAsync(() => !IsStored(image.Layers[1].Digest), () => string.Join('\n', Mirror.Log));
        Assert.True(IsStored(image.Layers[0].Digest));
        Assert.True(IsStored(image.Digest));
        Assert.True(IsStored(pushed));
        using var still = await Mirror.GetAsync($"local/app/blobs/{image.Layers[0].Digest}");
        Assert.Equal(image.Layers[0].Digest, await DigestOfAsync(still));
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);
    }

    [Fact]
    public async Task A_lower_limit_holds_from_the_next_start_on()
    {
        foreach (var blob in Enumerable.Range(0, 3).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(i, MiB))))
            await PullAsync(blob.Digest);
        AgeAll();
        await Mirror.StopAsync();

        await using var smaller = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = Hub.Url,
            Root = Mirror.Root,
            Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MAX_SIZE"] = "2MiB" },
        });
        await Until.TrueAsync(() => Stored().Length == 1, () => string.Join('\n', smaller.Log));
    }

    private async Task PullAsync(Digest digest)
    {
        using (var response = await Mirror.GetAsync(BlobPath(digest)))
            Assert.Equal(digest, await DigestOfAsync(response));
        await Until.TrueAsync(() => IsStored(digest), () => $"{digest} is not stored.");
    }

    private void AgeAll()
    {
        foreach (var digest in Stored())
            Age(digest, TimeSpan.FromHours(100));
    }

    private void Age(Digest digest, TimeSpan by) =>
        File.SetLastWriteTimeUtc(Path.Combine(Mirror.Root, RegistryLayout.BlobData(digest)), DateTime.UtcNow - by);

    private Digest[] Stored() =>
    [
        .. Directory.EnumerateFiles(Path.Combine(Mirror.Root, RegistryLayout.Blobs("sha256")), "data", SearchOption.AllDirectories)
            .Select(file => Digest.Parse($"sha256:{Path.GetFileName(Path.GetDirectoryName(file))}")),
    ];
}
