using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Stores;

/// <summary>The mirror is stopped by SIGKILL at any of its requests to the store, while it downloads and takes pushes.</summary>
public sealed class StoreKillTests
{
    private const string Mirrored = "library/nginx", Pushed = "local/kept";
    private const int AtOnce = 3;

    // About a hundred rounds of 48 MB each, over S3 and OSS.
    private const long Capacity = 8L << 30;

    private static readonly int Kills = Figures.Count(sample: 1, full: 30);

    private static readonly string Blobs = RegistryLayout.Blobs("sha256");

    private readonly HashSet<string> _whole = [];
    private readonly ConcurrentDictionary<Digest, bool> _acknowledged = new();
    private int _refused;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(StoreKind.S3)]
    [InlineData(StoreKind.Oss)]
    [InlineData(StoreKind.Azure)]
    [InlineData(StoreKind.Gcs)]
    [InlineData(StoreKind.Swift)]
    [InlineData(StoreKind.Glance)]
    [InlineData(StoreKind.GlanceBesideSwift)]
    [InlineData(StoreKind.Elliptics)]
    public async Task Nothing_half_has_a_final_name_nothing_acknowledged_is_lost_and_leftovers_are_swept(StoreKind kind)
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(
            kind, sample: StoreKind.Azure, capacity: Figures.Full ? Capacity : null);
        using var scratch = new TempFolder();
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            Driver = $"{store.Driver}    scratchdirectory: {scratch.Path}\n  redirect: {{disable: true}}\n",
        });
        using var bucket = store.Open();
        var random = Figures.Random(17);
        // A round makes about half as many requests, so some rounds end before the kill: their pushes are acknowledged.
        var requests = store.HasNamesHere ? 40 : 140;
        var kills = 0;
        for (var round = 0; kills < Kills; round++)
        {
            var (seed, length) = (round * AtOnce, 2 * store.MoreThanAPart);
            var blobs = Enumerable.Range(seed, AtOnce).Select(i => hub.AddBlob(Mirrored, HubBlob.Seeded(i, length))).ToList();
            var moment = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var left = random.Next(1, requests);
            store.Faults.Set(_ =>
            {
                if (Interlocked.Decrement(ref left) == 0)
                    moment.SetResult();
                return null;
            });
            Task[] clients =
            [
                .. blobs.Select(blob => PullAsync(mirror, blob.Digest)),
                .. Enumerable.Range(seed, AtOnce).Select(i => PushAsync(mirror, HubBlob.Seeded(1000 + i, store.MoreThanAPart))),
            ];
            var all = Task.WhenAll(clients);
            // Sometimes everything is done before.
            kills += await Task.WhenAny(moment.Task, all) == moment.Task ? 1 : 0;
            await mirror.KillAsync();
            await all;
            store.Faults.Clear();
            await AssertWholeAsync(bucket);
            await mirror.StartAgainAsync();
            foreach (var digest in blobs.Select(blob => blob.Digest))
                await AssertServedAsync(mirror, $"{Mirrored}/blobs/{digest}", digest);
        }
        foreach (var digest in _acknowledged.Keys)
            await AssertServedAsync(mirror, $"{Pushed}/blobs/{digest}", digest);
        await AssertWholeAsync(bucket);
        if (Figures.Full)
            Assert.NotEmpty(_acknowledged);
        await mirror.StopAsync();

        // In nine days.
        var begun = await CountAsync(bucket);
        var spools = Directory.GetFiles(scratch.Path, "*", SearchOption.AllDirectories).Length;
        await new BucketSweepStore(bucket, scratch.Path, TimeProvider.System)
            .SweepLeftoversAsync(DateTimeOffset.UtcNow.AddDays(9), dryRun: false, Cancel);
        Assert.Equal(0, await CountAsync(bucket));
        Assert.Empty(Directory.GetFiles(scratch.Folder("sha256"), "*", SearchOption.AllDirectories));
        Figures.Report($"{kind}: {kills} kills, {_whole.Count} objects whole, {_acknowledged.Count} pushes kept, {_refused} refused, "
            + $"{begun} unfinished uploads and {spools} local files swept");
    }

    // Straight from the store: what has the name of a digest has its bytes, and what names a digest names it whole.
    private async Task AssertWholeAsync(IBucket bucket)
    {
        await foreach (var (path, _, size) in bucket.ListAsync("docker/", null, Cancel))
        {
            if (!_whole.Add(path))
                continue;
            if (path.EndsWith("/link", StringComparison.Ordinal))
                Assert.True(Digest.TryParse((await bucket.ReadTextAsync(path, Cancel))!, out _), path);
            if (!path.StartsWith($"{Blobs}/", StringComparison.Ordinal) || !path.EndsWith("/data", StringComparison.Ordinal))
                continue;
            await using var body = await bucket.OpenAsync(path, 0, size, Cancel);
            Assert.Equal(path.Split('/')[^2], Convert.ToHexStringLower(await SHA256.HashDataAsync(body!, Cancel)));
        }
    }

    private static async Task<int> CountAsync(IBucket bucket) => await bucket.ListUploadsAsync(Blobs, Cancel).CountAsync(Cancel);

    private static async Task AssertServedAsync(MirrorProcess mirror, string path, Digest digest)
    {
        using var response = await mirror.GetAsync(path);
        Assert.Equal((path, HttpStatusCode.OK), (path, response.StatusCode));
        Assert.Equal(digest, Digest.Of(await response.Content.ReadAsByteArrayAsync(Cancel)));
    }

    private static async Task PullAsync(MirrorProcess mirror, Digest digest)
    {
        try
        {
            using var response = await mirror.GetAsync($"{Mirrored}/blobs/{digest}");
            if (response.IsSuccessStatusCode)
                Assert.Equal(digest, Digest.Of(await response.Content.ReadAsByteArrayAsync(Cancel)));
        }
        catch (Exception cut) when (cut is HttpRequestException or IOException)
        {
            // The mirror was killed.
        }
    }

    private async Task PushAsync(MirrorProcess mirror, HubBlob blob)
    {
        try
        {
            var bytes = blob.Slice(0, blob.Size);
            if (await new PushedRepository(mirror, Pushed).StatusOfAsync("POST", $"blobs/uploads/?digest={blob.Digest}", bytes)
                is HttpStatusCode.Created)
                _acknowledged[blob.Digest] = true;
            else
                Interlocked.Increment(ref _refused);
        }
        catch (Exception cut) when (cut is HttpRequestException or IOException)
        {
            // The mirror was killed.
        }
    }
}
