using System.Collections.Concurrent;
using Mirror.Storage;
using Mirror.Tests.Maintenance;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Xunit;

namespace Mirror.Tests.S3;

/// <summary>Two replicas over one bucket. The command and one replica collect garbage all the time, without a grace period.</summary>
public sealed class CollectBucketTests
{
    private const int AtOnce = 6;

    private static readonly int Images = Figures.Count(sample: 12, full: 120);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pushes_to_two_replicas_lose_nothing_and_docker_registry_serves_what_is_left()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        var store = await SharedRadosgw.OrSkipAsync();
        var driver = BucketDriver.Of(store.Url, $"test/{Guid.NewGuid():N}");
        using var scratch = new TempFolder();
        await using var one = await StartAsync(driver, scratch.Folder("one"), collects: true);
        await using var other = await StartAsync(driver, scratch.Folder("other"), collects: false);
        using var done = new CancellationTokenSource();
        var collections = Task.Run(async () =>
        {
            var runs = 0;
            while (!done.IsCancellationRequested)
                runs += await Pushes.TryCollectAsync(other) ? 1 : 0;
            return runs;
        }, Cancel);
        var (refused, standing) = (0, new ConcurrentBag<(string Name, string Tag, byte[] Manifest, byte[][] Blobs)>());

        var pushers = new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = Cancel };
        await Parallel.ForEachAsync(Enumerable.Range(0, Images), pushers, async (image, _) =>
        {
            var mirror = image % 2 == 0 ? one : other;
            var (name, tag) = ($"acme/app{image % 3}", $"v{image}");
            var (manifest, blobs) = Pushes.Image(image);
            while (!await Pushes.PushAsync(mirror, name, tag, manifest, blobs))
                Interlocked.Increment(ref refused);
            await Pushes.AssertWholeAsync(mirror == one ? other : one, name, tag, manifest, blobs);
            if (image % 3 == 0)
                await Pushes.DeleteAsync(mirror, name, manifest);
            else
                standing.Add((name, tag, manifest, blobs));
        });
        await done.CancelAsync();
        var runs = await collections;
        await one.StopAsync();
        while (!await Pushes.TryCollectAsync(other))
        {
        }

        var own = one.Log.Count(line => line.Contains("garbage collection freed", StringComparison.Ordinal));
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{standing.Count} images stand, {refused} pushes sent a blob again, {runs} collections by command, {own} by a server");
        await using var old = await DockerRegistry.StartAsync(driver: driver);
        using var skopeo = new Skopeo();
        foreach (var (name, tag, manifest, blobs) in standing)
        {
            await Pushes.AssertWholeAsync(other, name, tag, manifest, blobs);
            var pulled = await skopeo.PullAsync($"{old.Authority}/{name}:{tag}");
            Assert.Equal(manifest, await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), Cancel));
        }
        // Content without a name is gone.
        var (dry, output) = await other.RunAsync("garbage-collect", "-d", "-m");
        Assert.Equal(0, dry);
        Assert.Contains(" 0 blobs and 0 manifests eligible", output, StringComparison.Ordinal);
        var named = standing.SelectMany(image => image.Blobs.Append(image.Manifest)).DistinctBy(bytes => Digest.Of(bytes)).Count();
        Assert.Contains($"{named} blobs marked", output, StringComparison.Ordinal);
    }

    private static Task<MirrorProcess> StartAsync(string driver, string scratch, bool collects) =>
        MirrorProcess.StartAsync(new MirrorSettings
        {
            Driver = driver,
            Environment = new Dictionary<string, string>
            {
                ["REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECT"] =
                    $"{{enabled: {(collects ? "true" : "false")}, interval: 1s, grace: 0s, deleteuntagged: true}}",
                ["REGISTRY_STORAGE_REDIRECT_DISABLE"] = "true",
                ["REGISTRY_STORAGE_S3_SCRATCHDIRECTORY"] = scratch,
                ["REGISTRY_LOG_LEVEL"] = "info",
            },
        });
}
