using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// The power fails, and everything that was only in memory is lost. The volume writes nothing to its device by itself, so whatever was not
/// flushed before it was acknowledged is missing afterwards.
/// </summary>
/// <remarks>
/// These tests fail if any of these flushes is left out: of a file before it gets its name, and of the folder in <c>Publish</c>,
/// <c>Rename</c> and <c>DeleteFolder</c>. They do not notice a missing flush in <c>CreateFolder</c>, because ext4 writes its whole journal
/// at the next flush.
/// </remarks>
public sealed class PowerLossTests : MirrorOfHub
{
    private const string Name = "local/app";
    private const int Size = 1 << 20;

    [Fact]
    public async Task Acknowledged_pushes_survive_a_power_cut()
    {
        await using var volume = await VolumeAsync();
        await using var mirror = await StartAsync(volume);
        var repository = new PushedRepository(mirror, Name);
        var cuts = 0;
        for (var round = 0; round < Figures.Count(1, 20); round++)
        {
            var (bytes, config) = (HubBlob.Seeded(round, Size).Slice(0, Size), Encoding.UTF8.GetBytes($"config {round}"));

            // 1. Push a blob in one request, and another one in several.
            var whole = await repository.PushAsync(config);
            await AfterCutAsync(async after => Assert.Equal(config, await after.BytesAsync($"blobs/{whole}")));
            var location = await repository.BeginAsync();
            using (var patched = await repository.SendAsync("PATCH", location, bytes))
            using (var put = await repository.SendAsync("PUT", $"{location}?digest={Digest.Of(bytes)}"))
                Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.Created), (patched.StatusCode, put.StatusCode));
            await AfterCutAsync(async after => Assert.Equal(bytes, await after.BytesAsync($"blobs/{Digest.Of(bytes)}")));

            // 2. Push manifests to a new tag, and to a tag that moves.
            foreach (var tag in new[] { $"v{round}", "latest", "latest" })
            {
                var (manifest, text) = await repository.PushManifestAsync(tag, $"{round} {tag} {cuts}");
                await AfterCutAsync(async after =>
                {
                    Assert.Equal(text, await after.BytesAsync($"manifests/{tag}"));
                    Assert.Equal(text, await after.BytesAsync($"manifests/{manifest}"));
                });
            }

            // 3. Delete a tag: it stays deleted.
            using (var deleted = await repository.SendAsync("DELETE", $"manifests/v{round}"))
                Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
            await AfterCutAsync(async after =>
                Assert.Equal(HttpStatusCode.NotFound, await after.StatusOfAsync("GET", $"manifests/v{round}")));
        }
        Figures.Report($"{cuts} power cuts right after an acknowledgement: everything acknowledged is there");

        async Task AfterCutAsync(Func<PushedRepository, Task> check)
        {
            cuts++;
            await using var left = await CutAsync(volume, mirror);
            mirror.GoOn();
            await using var again = await StartAsync(left);
            await check(new PushedRepository(again, Name));
        }
    }

    [Fact]
    public async Task A_cut_upload_is_resumed_or_restarted_and_never_wrong()
    {
        await using var volume = await VolumeAsync();
        await using var mirror = await StartAsync(volume);
        var repository = new PushedRepository(mirror, Name);
        var bytes = HubBlob.Seeded(7, Size).Slice(0, Size);
        var location = await repository.BeginAsync();
        using (var patched = await repository.SendAsync("PATCH", location, bytes[..(Size / 2)]))
            Assert.Equal(HttpStatusCode.Accepted, patched.StatusCode);

        await using var left = await CutAsync(volume, mirror);
        mirror.GoOn();
        await using var again = await StartAsync(left);
        var after = new PushedRepository(again, Name);
        var path = new Uri(location).PathAndQuery;
        location = new Uri(again.Url, path).AbsoluteUri;
        using (var status = await after.SendAsync("GET", location))
            if (status.StatusCode == HttpStatusCode.NotFound)
                location = await after.BeginAsync();
        using (var status = await after.SendAsync("GET", location))
        {
            Assert.Equal(HttpStatusCode.NoContent, status.StatusCode);
            var end = int.Parse(PushedRepository.Header(status, "Range")!.Split('-')[1], null);
            var from = end == 0 ? 0 : end + 1;
            using var rest = await after.SendAsync("PATCH", location, bytes[from..], null, ("Content-Range", $"{from}-{bytes.Length - 1}"));
            Assert.Equal(HttpStatusCode.Accepted, rest.StatusCode);
        }
        using (var put = await after.SendAsync("PUT", $"{location}?digest={Digest.Of(bytes)}"))
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        Assert.Equal(bytes, await after.BytesAsync($"blobs/{Digest.Of(bytes)}"));
    }

    [Fact]
    public async Task Power_cuts_during_pulls_and_pushes_leave_nothing_wrong()
    {
        var random = Figures.Random(11);
        var rounds = Figures.Count(2, 40);
        Hub.PullLimit = null;
        for (var round = 0; round < rounds; round++)
        {
            await using var volume = await VolumeAsync();
            await using var mirror = await StartAsync(volume);
            var images = Enumerable.Range(round * 8, 4)
                .Select((seed, i) => Hub.AddImage(Repository, $"r{round}-{i}", HubBlob.Seeded(seed, Size), HubBlob.Seeded(seed + 4, Size)))
                .ToList();
            var acknowledged = new ConcurrentBag<(string Tag, Digest Manifest, Digest Layer)>();
            Hub.Log.Clear();
            using var stop = new CancellationTokenSource();
            var pulls = images.Select((image, i) => PullAsync(mirror, $"r{round}-{i}", image, mustEnd: false)).ToList();
            var pushes = PushUntilAsync(new PushedRepository(mirror, Name), acknowledged, stop.Token);
            var moment = random.NextInt64(8 * Size);
            await Until.TrueAsync(() => Hub.Log.BodyBytes() >= moment, () => "The pulls do not progress.");
            mirror.StandStill();
            // What is acknowledged after this line is not checked.
            var sure = acknowledged.ToList();
            await using var left = await volume.AfterPowerCutAsync();
            await mirror.KillAsync();
            await stop.CancelAsync();
            await Task.WhenAll([.. pulls, pushes]);

            await using var again = await StartAsync(left);
            foreach (var (tag, manifest, layer) in sure)
            {
                var after = new PushedRepository(again, Name);
                Assert.Equal(manifest, Digest.Of(await after.BytesAsync($"manifests/{tag}")));
                Assert.Equal(layer, Digest.Of(await after.BytesAsync($"blobs/{layer}")));
            }
            foreach (var (image, i) in images.Select((image, i) => (image, i)))
                await PullAsync(again, $"r{round}-{i}", image, mustEnd: true);
            // All content under a final name is right, also what no client asked for.
            var (code, output) = await again.RunAsync("verify");
            Assert.True(code == 0, output);
        }
        Figures.Report(
            $"{rounds} power cuts in the middle of cold pulls and pushes: nothing wrong under a final name, "
            + "every acknowledged push whole, every pull works afterwards");
    }

    // With this option nothing reaches the device by itself while a test runs.
    private static Task<LoopVolume> VolumeAsync() => LoopVolume.MountAsync(48, 4000, "commit=600");

    private Task<MirrorProcess> StartAsync(LoopVolume volume) =>
        MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, Root = Path.Combine(volume.Path, "root") });

    private static async Task<LoopVolume> CutAsync(LoopVolume volume, MirrorProcess mirror)
    {
        mirror.StandStill();
        return await volume.AfterPowerCutAsync();
    }

    private static async Task PullAsync(MirrorProcess mirror, string tag, HubImage image, bool mustEnd)
    {
        try
        {
            using (var manifest = await mirror.GetAsync(ManifestPath(tag)))
                Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
            await Task.WhenAll(image.Layers.Append(image.Config).Select(async blob =>
            {
                using var response = await mirror.GetAsync(BlobPath(blob.Digest));
                Assert.Equal(blob.Digest, await DigestOfAsync(response));
            }));
        }
        catch (Exception cut) when (!mustEnd && cut is HttpRequestException or IOException)
        {
            // The power was cut.
        }
    }

    private static async Task PushUntilAsync(
        PushedRepository repository, ConcurrentBag<(string, Digest, Digest)> acknowledged, CancellationToken stop)
    {
        try
        {
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                var layer = await repository.PushAsync(Encoding.UTF8.GetBytes($"layer {i} {new string('x', 50_000)}"));
                var bytes = PushedRepository.Manifest(layer);
                using var put = await repository.SendAsync("PUT", $"manifests/t{i}", bytes, PushedRepository.OciManifest);
                if (put.StatusCode == HttpStatusCode.Created)
                    acknowledged.Add(($"t{i}", Digest.Of(bytes), layer));
            }
        }
        catch (Exception cut) when (cut is HttpRequestException or IOException)
        {
            // The power was cut before the acknowledgement.
        }
    }
}
