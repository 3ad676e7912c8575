using System.Collections.Concurrent;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>Pushes like those of clients, beside garbage collections in the server and in another process, without a grace.</summary>
public sealed class CollectWhilePushingTests
{
    private const int Images = 200;
    private const int AtOnce = 16;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_hundred_acknowledged_images_lose_nothing()
    {
        MirrorProcess.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string>
            {
                ["REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECT"] = "{enabled: true, interval: 1s, grace: 0s, deleteuntagged: true}",
                ["REGISTRY_LOG_LEVEL"] = "info",
            },
        });
        using var done = new CancellationTokenSource();
        var collections = Task.Run(() => CollectAsync(mirror, done.Token), Cancel);
        var refused = 0;
        ConcurrentBag<(string Name, string Tag, byte[] Manifest, byte[][] Blobs)> standing = [];
        var concurrently = new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = Cancel };

        await Parallel.ForEachAsync(Enumerable.Range(0, Images), concurrently, async (image, _) =>
        {
            var (name, tag) = ($"acme/app{image % 4}", $"v{image}");
            var (manifest, blobs) = Pushes.Image(image);
            while (!await Pushes.PushAsync(mirror, name, tag, manifest, blobs))
                Interlocked.Increment(ref refused);
            await Pushes.AssertWholeAsync(mirror, name, tag, manifest, blobs);
            if (image % 3 == 0)
                await Pushes.DeleteAsync(mirror, name, manifest);
            else
                standing.Add((name, tag, manifest, blobs));
        });
        await done.CancelAsync();
        var runs = await collections;
        while (!await Pushes.TryCollectAsync(mirror))
        {
        }

        var ofServer = mirror.Log.Count(line => line.Contains("garbage collection freed", StringComparison.Ordinal));
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{standing.Count} images stand, {refused} pushes had to repeat a blob, {runs} collections beside {ofServer} of the server");
        foreach (var (name, tag, manifest, blobs) in standing)
            await Pushes.AssertWholeAsync(mirror, name, tag, manifest, blobs);
        var named = standing.SelectMany(image => image.Blobs.Append(image.Manifest))
            .Select(bytes => Digest.Of(bytes).Hex).Distinct().Order();
        var root = Path.Combine(mirror.Root, RegistryLayout.Blobs("sha256"));
        var stored = Directory.EnumerateFiles(root, "data", SearchOption.AllDirectories)
            .Select(file => Path.GetFileName(Path.GetDirectoryName(file)!)).Order();
        Assert.Equal(named, stored);
    }

    private static async Task<int> CollectAsync(MirrorProcess mirror, CancellationToken done)
    {
        var runs = 0;
        while (!done.IsCancellationRequested)
            runs += await Pushes.TryCollectAsync(mirror) ? 1 : 0;
        return runs;
    }
}
