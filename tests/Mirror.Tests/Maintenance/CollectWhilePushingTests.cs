using System.Net;
using System.Net.Http.Headers;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>Pushes as clients make them, beside garbage collections in the server and in another process that give no grace and take untagged manifests.</summary>
public sealed class CollectWhilePushingTests
{
    private const int Images = 200;
    private const int AtOnce = 16;
    private const int SharedLayers = 10;

    private static readonly ImageTypes Types = new(Oci: true);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_hundred_pushes_lose_nothing_they_were_acknowledged_for()
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
        var (refused, standing) = (0, new System.Collections.Concurrent.ConcurrentBag<(string Name, string Tag, byte[] Manifest, byte[][] Blobs)>());

        await Parallel.ForEachAsync(Enumerable.Range(0, Images), new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = Cancel }, async (image, _) =>
        {
            var (name, tag) = ($"acme/app{image % 4}", $"v{image}");
            byte[][] blobs = [.. Enumerable.Range(0, 6).Select(i => Blob(i < 3 ? $"shared {(image * 3 + i) % SharedLayers}" : $"own {image} {i}"))];
            var manifest = ManifestText.Image(Types, (Digest.Of(blobs[5]), blobs[5].Length), blobs[..5].Select(blob => (Digest.Of(blob), (long)blob.Length)));
            while (!await PushAsync(mirror, name, tag, manifest, blobs))
                Interlocked.Increment(ref refused);
            await AssertWholeAsync(mirror, name, tag, manifest, blobs);
            if (image % 3 == 0)
            {
                using var deleted = await Http.Client.DeleteAsync(Url(mirror, $"{name}/manifests/{Digest.Of(manifest)}"), Cancel);
                Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
            }
            else
                standing.Add((name, tag, manifest, blobs));
        });
        await done.CancelAsync();
        var runs = await collections;
        while (!await TryCollectAsync(mirror))
        {
        }

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{standing.Count} images stand, {refused} pushes were told to send a blob again, {runs} collections beside {mirror.Log.Count(line => line.Contains("garbage collection freed", StringComparison.Ordinal))} of the server's");
        foreach (var (name, tag, manifest, blobs) in standing)
            await AssertWholeAsync(mirror, name, tag, manifest, blobs);
        var named = standing.SelectMany(image => image.Blobs.Append(image.Manifest)).Select(bytes => Digest.Of(bytes).Hex).Distinct().Order();
        var stored = Directory.EnumerateFiles(Path.Combine(mirror.Root, RegistryLayout.Blobs("sha256")), "data", SearchOption.AllDirectories)
            .Select(file => Path.GetFileName(Path.GetDirectoryName(file)!)).Order();
        Assert.Equal(named, stored);
    }

    private static async Task<int> CollectAsync(MirrorProcess mirror, CancellationToken done)
    {
        var runs = 0;
        while (!done.IsCancellationRequested)
            runs += await TryCollectAsync(mirror) ? 1 : 0;
        return runs;
    }

    // False where the server's own was at it.
    private static async Task<bool> TryCollectAsync(MirrorProcess mirror)
    {
        try
        {
            await mirror.CollectAsync("-m", "-q");
            return true;
        }
        catch (PeerFailedException busy) when (busy.Message.Contains("another garbage collection", StringComparison.Ordinal))
        {
            return false;
        }
    }

    // False where a blob was collected before the manifest named it: a client pushes again then.
    private static async Task<bool> PushAsync(MirrorProcess mirror, string name, string tag, byte[] manifest, byte[][] blobs)
    {
        foreach (var blob in blobs)
        {
            var digest = Digest.Of(blob);
            using var there = await mirror.HeadAsync($"{name}/blobs/{digest}");
            if (there.StatusCode == HttpStatusCode.OK)
                continue;
            using var pushed = await SendAsync(mirror, HttpMethod.Post, $"{name}/blobs/uploads/?digest={digest}", blob, "application/octet-stream");
            Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);
        }
        using var response = await SendAsync(mirror, HttpMethod.Put, $"{name}/manifests/{tag}", manifest, Types.Manifest);
        if (response.StatusCode == HttpStatusCode.Created)
            return true;
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Contains("MANIFEST_BLOB_UNKNOWN", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        return false;
    }

    private static async Task AssertWholeAsync(MirrorProcess mirror, string name, string tag, byte[] manifest, byte[][] blobs)
    {
        using var response = await mirror.GetAsync($"{name}/manifests/{tag}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(manifest, await response.Content.ReadAsByteArrayAsync(Cancel));
        foreach (var blob in blobs)
        {
            using var got = await mirror.GetAsync($"{name}/blobs/{Digest.Of(blob)}");
            Assert.Equal(HttpStatusCode.OK, got.StatusCode);
            Assert.Equal(blob, await got.Content.ReadAsByteArrayAsync(Cancel));
        }
    }

    private static byte[] Blob(string text) => System.Text.Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(text, 500)));

    private static Uri Url(MirrorProcess mirror, string path) => new(mirror.Url, $"/v2/{path}");

    private static async Task<HttpResponseMessage> SendAsync(MirrorProcess mirror, HttpMethod method, string path, byte[] body, string type)
    {
        using var request = new HttpRequestMessage(method, Url(mirror, path)) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(type);
        return await Http.Client.SendAsync(request, Cancel);
    }
}
