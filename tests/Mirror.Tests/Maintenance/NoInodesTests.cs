using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>A volume that takes no more files: what deletes content must work, because only that makes room.</summary>
public sealed class NoInodesTests : MirrorOfHub
{
    [Fact]
    public async Task A_dry_run_and_a_collection_work()
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = Path.Combine(volume.Path, "root") });
        await new PushedRepository(mirror, "local/app").PushAsync(UploadTests.Bytes(1000));
        volume.FillUpInodes();

        Assert.Contains("would free 1000 bytes", await mirror.CollectAsync("--dry-run"), StringComparison.Ordinal);
        Assert.Contains("freed 1000 bytes", await mirror.CollectAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dry_run_works_where_no_server_has_made_a_lock_file()
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = Path.Combine(volume.Path, "root") });
        await new PushedRepository(mirror, "local/app").PushAsync(UploadTests.Bytes(1000));
        await mirror.StopAsync();
        Directory.Delete(Path.Combine(mirror.Root, "mirror"), recursive: true);
        volume.FillUpInodes();

        Assert.Contains("would free 1000 bytes", await mirror.CollectAsync("--dry-run"), StringComparison.Ordinal);
        var (code, output) = await mirror.RunAsync("garbage-collect");
        Assert.Equal(1, code);
        Assert.Contains("no room for the lock file", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cache_with_a_floor_evicts()
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = Hub.Url,
            Root = Path.Combine(volume.Path, "root"),
            Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MIN_FREE"] = "1MiB" },
        });
        var layer = HubBlob.Seeded(1, 300_000);
        var image = Hub.AddImage(Repository, "latest", layer);
        (await mirror.GetAsync(ManifestPath("latest"))).Dispose();
        foreach (var blob in image.Layers.Append(image.Config))
        {
            using (var response = await mirror.GetAsync(BlobPath(blob.Digest)))
                Assert.Equal(blob.Digest, await DigestOfAsync(response));
            await mirror.UntilStoredAsync(BlobPath(blob.Digest));
        }
        await mirror.KillAsync();
        volume.FillUpInodes();

        // The first eviction is at the start.
        await mirror.StartAgainAsync();

        await Until.TrueAsync(
            async () => await mirror.MetricAsync("mirror_cache_evictions_total") > 0, () => string.Join('\n', mirror.Log));
    }
}
