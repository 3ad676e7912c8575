using Mirror.Admin;
using Mirror.Storage.Stores;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary><c>proxy.max_size</c> evicts images as a whole, the least recently pulled first.</summary>
public sealed class ImageEvictionTests : MirrorOfHub
{
    private const int MiB = 1 << 20;
    private const int Limit = 8 * MiB;

    private static readonly HubBlob Base = HubBlob.Seeded(1, MiB);

    protected override MirrorSettings Settings(ScriptedHub hub) => new()
    {
        Upstream = hub.Url,
        Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MAX_SIZE"] = "8MiB" },
    };

    [Fact]
    public async Task The_least_recently_pulled_image_goes_as_a_whole_and_comes_back_without_a_pull_of_the_limit()
    {
        var images = Enumerable.Range(0, 5).Select(i => Hub.AddImage(Repository, $"{i}", Base, HubBlob.Seeded(10 + i, MiB))).ToList();
        foreach (var (i, image) in images.Index())
            await PullAsync(i, image);
        // This client has the layers.
        await Mirror.PullAsync(Repository, "0");

        for (var i = 5; i < 8; i++)
            await PullAsync(i, Hub.AddImage(Repository, $"{i}", HubBlob.Seeded(10 + i, MiB)));

        var list = await Mirror.ImagesAsync(list => list.Length == 6);
        Assert.Equal(["0", "3", "4", "5", "6", "7"], list.Select(image => image.GetProperty("tag").GetString()));
        Assert.All(list, image => Assert.True(image.GetProperty("whole").GetBoolean()));
        await Until.TrueAsync(() => !IsStored(images[1].Layers[1].Digest), () => string.Join('\n', Mirror.Log));
        Assert.True(IsStored(Base.Digest));
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);

        Hub.Log.Clear();
        await PullAsync(1, images[1]);
        Assert.Equal(0, Hub.Log.Count(Asked.Manifest, "GET"));
        Assert.Equal(MiB, Hub.Log.BodyBytes(images[1].Layers[1].Digest));
        Assert.Equal(0, Hub.Log.BodyBytes(Base.Digest));
    }

    [Fact]
    public async Task Without_its_index_of_images_the_server_evicts_by_the_dates_of_the_store_and_keeps_what_was_pushed()
    {
        var pushed = new PushedRepository(Mirror, "local/app");
        var layer = await pushed.PushAsync(HubBlob.Seeded(99, 2 * MiB).Slice(0, 2 * MiB));
        await pushed.PushManifestAsync("1");
        await Mirror.StopAsync();
        var index = Path.Combine(Mirror.Root, RegistryLayout.ImageIndex);
        foreach (var file in Directory.GetFiles(Path.GetDirectoryName(index)!, "images*.db*"))
            File.Delete(file);
        // A folder in its place can neither be read nor replaced.
        Directory.CreateDirectory(Path.Combine(index, "held"));
        await Mirror.StartAgainAsync();

        var images = Enumerable.Range(0, 9).Select(i => Hub.AddImage(Repository, $"{i}", HubBlob.Seeded(10 + i, MiB))).ToList();
        foreach (var (i, image) in images.Index())
            await PullAsync(i, image);

        await Until.TrueAsync(() => !IsStored(images[0].Layers[0].Digest), () => string.Join('\n', Mirror.Log));
        Assert.True(IsStored(images[8].Layers[0].Digest));
        Assert.True(IsStored(layer));
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);
    }

    [Fact]
    public async Task Hits_are_nearly_as_many_as_with_an_ideal_order()
    {
        const int count = 48, size = MiB / 3;
        var bases = Enumerable.Range(0, 4).Select(i => HubBlob.Seeded(500 + i, size)).ToList();
        var images = Enumerable.Range(0, count)
            .Select(i => Hub.AddImage(Repository, $"{i}", bases[i % bases.Count], HubBlob.Seeded(1000 + i, size))).ToList();
        var random = new Random(1);
        // A few images are pulled often, as in practice.
        var trace = Enumerable.Range(0, Figures.Count(160, 2000)).Select(_ => random.Next(random.Next(1, count + 1))).ToList();
        var hits = 0;
        foreach (var i in trace)
        {
            Hub.Log.Clear();
            await PullAsync(i, images[i]);
            hits += Hub.Log.BodyBytes(images[i].Layers[1].Digest) + Hub.Log.BodyBytes(images[i].Layers[0].Digest) == 0 ? 1 : 0;
        }
        var ideal = IdealHits(trace, images);
        Figures.Report($"{hits} hits of {trace.Count}, {ideal} with an ideal order");
        Assert.True(hits >= 0.9 * ideal, $"{hits} hits, {ideal} with an ideal order");
    }

    [Fact]
    public async Task An_image_that_no_client_has_pulled_for_long_goes_and_a_pinned_repository_stays()
    {
        var old = Hub.AddImage(Repository, "old", HubBlob.Seeded(1, 1000));
        var kept = Hub.AddImage("pinned/app", "1", HubBlob.Seeded(2, 1000));
        await Mirror.PullAsync(Repository, "old", [old.Config.Digest, old.Layers[0].Digest]);
        await Mirror.PullAsync("pinned/app", "1", [kept.Config.Digest, kept.Layers[0].Digest]);
        await Mirror.StopAsync();
        // As if it were long ago.
        foreach (var file in Directory.GetFiles(Path.Combine(Mirror.Root, "docker"), "*", SearchOption.AllDirectories))
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddDays(-40));
        foreach (var file in Directory.GetFiles(Path.Combine(Mirror.Root, "mirror"), "images*.db*"))
            File.Delete(file);

        await using var later = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = Hub.Url,
            Root = Mirror.Root,
            Environment = new Dictionary<string, string>
            {
                ["REGISTRY_PROXY_TTL"] = "30d",
                ["REGISTRY_PROXY_POLICIES_0_MATCH"] = "pinned/*",
                ["REGISTRY_PROXY_POLICIES_0_PINNED"] = "true",
            },
        });
        var list = await later.ImagesAsync(list => list is [var only] && only.GetProperty("name").GetString() == "pinned/app");
        Assert.True(list[0].GetProperty("pinned").GetBoolean());
        await Until.TrueAsync(() => !IsStored(old.Layers[0].Digest), () => string.Join('\n', later.Log));
        Assert.True(IsStored(kept.Layers[0].Digest));
    }

    [Fact]
    public async Task A_floor_of_free_disk_holds_and_evicts_images()
    {
        await using var volume = await LoopVolume.MountAsync(48, 2000);
        await using var small = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = Hub.Url,
            Root = volume.Path,
            Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MIN_FREE"] = "20MiB" },
        });
        var images = Enumerable.Range(0, 12).Select(i => Hub.AddImage(Repository, $"{i}", HubBlob.Seeded(10 + i, 4 * MiB))).ToList();
        foreach (var (i, image) in images.Index())
        {
            await small.PullAsync(Repository, $"{i}", [image.Layers[0].Digest]);
            Assert.InRange(new DriveInfo(volume.Path).AvailableFreeSpace, 18 * MiB, long.MaxValue);
        }
        await small.ImagesAsync(list => list.All(image => image.GetProperty("tag").GetString() != "0"));
        using var last = await small.GetAsync(BlobPath(images[11].Layers[0].Digest));
        Assert.Equal("hit", last.Headers.GetValues("X-Cache").Single());
    }

    [Fact]
    public async Task Usage_and_the_dry_run_say_what_the_growth_of_the_last_day_leads_to()
    {
        await PullAsync(0, Hub.AddImage(Repository, "0", Base));
        await Mirror.ImagesAsync(list => list.Length == 1);
        await Mirror.StopAsync();
        using (var index = new ImageIndex(Path.Combine(Mirror.Root, RegistryLayout.ImageIndex)))
            index.NoteSize(DateTimeOffset.UtcNow.AddDays(-1), 0);
        await Mirror.StartAgainAsync();

        var usage = await Mirror.AdminAsync("usage");
        Assert.InRange(usage.GetProperty("growth").GetInt64(), MiB - 10_000, MiB + 10_000);
        var days = (usage.GetProperty("fullAt").GetDateTimeOffset() - DateTimeOffset.UtcNow).TotalDays;
        Assert.InRange(days, 6.8, 7.1);
        Assert.Contains("at this rate there is no room left on", (await Mirror.VerbAsync("usage")).Output);

        // With a limit that the growth of another day passes.
        var plan = await Mirror.AdminAsync("eviction?limit=1500000");
        Assert.Equal((0, 1), (plan.GetProperty("count").GetInt32(), plan.GetProperty("nextDay").GetProperty("count").GetInt32()));
        Assert.True(Assert.Single(plan.GetProperty("images").EnumerateArray()).GetProperty("nextDay").GetBoolean());
        var (_, dryRun) = await Mirror.VerbAsync("evict", "--dry-run", "--limit", "1500000");
        Assert.Contains("library/nginx:0 (within a day)", dryRun);
        Assert.Contains("evicting 0 images would free", dryRun);
        Assert.Contains("1 more will be evicted within a day", dryRun);
    }

    // The least recently used image goes when the next one has no room, and none before.
    private static int IdealHits(List<int> trace, List<HubImage> images)
    {
        List<int> kept = [];
        var hits = 0;
        foreach (var i in trace)
        {
            hits += kept.Remove(i) ? 1 : 0;
            kept.Add(i);
            while (kept.SelectMany(Blobs).DistinctBy(blob => blob.Digest).Sum(blob => blob.Size) > Limit)
                kept.RemoveAt(0);
        }
        return hits;

        IEnumerable<HubBlob> Blobs(int i) => [images[i].Config, .. images[i].Layers];
    }

    private async Task PullAsync(int tag, HubImage image)
    {
        using (var manifest = await Mirror.GetAsync(ManifestPath(tag)))
            Assert.Equal(image.Digest, await DigestOfAsync(manifest));
        foreach (var blob in image.Layers.Append(image.Config))
        {
            using (var response = await Mirror.GetAsync(BlobPath(blob.Digest)))
                Assert.Equal(blob.Digest, await DigestOfAsync(response));
            await Until.TrueAsync(() => IsStored(blob.Digest), () => string.Join('\n', Mirror.Log));
        }
    }
}
