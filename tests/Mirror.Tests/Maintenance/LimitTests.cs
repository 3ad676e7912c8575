using System.Net.Sockets;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary><c>proxy.max_size</c> is a limit: a tenth more than it is never stored, whatever clients pull.</summary>
public sealed class LimitTests : MirrorOfHub
{
    private const long MiB = 1 << 20;
    private const long Limit = 64 * MiB;

    protected override MirrorSettings Settings(ScriptedHub hub) =>
        new() { Upstream = hub.Url, Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MAX_SIZE"] = "64MiB" } };

    [Fact]
    public async Task Sixty_cold_images_of_twice_the_limit_never_pass_it_by_more_than_a_tenth()
    {
        var hosted = new PushedRepository(Mirror, "local/app");
        var own = await hosted.PushAsync(HubBlob.Seeded(1000, (int)MiB).Slice(0, (int)MiB));
        var (pushed, _) = await hosted.PushManifestAsync("1");
        var images = Enumerable.Range(0, 60)
            .Select(i => Hub.AddImage(Repository, $"{i}", HubBlob.Seeded(i, (int)(2 * Limit / 60)))).ToList();
        var mirrored = images.SelectMany(image => image.Layers).Select(layer => layer.Digest).ToHashSet();

        using var done = new CancellationTokenSource();
        var most = Task.Run(() => MostStored(mirrored, done.Token), Cancel);
        await Parallel.ForEachAsync(images, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = Cancel },
            async (image, _) =>
            {
                using (var manifest = await Mirror.GetAsync(ManifestPath(image.Digest)))
                    Assert.Equal(image.Digest, await DigestOfAsync(manifest));
                await PullAsync(image.Layers[0].Digest);
            });
        await done.CancelAsync();

        Assert.InRange(await most, Limit / 2, Limit + Limit / 10);
        Assert.True(IsStored(own) && IsStored(pushed));
        Assert.All(images, image => Assert.True(IsStored(image.Digest)));
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);
    }

    [Fact]
    public async Task While_all_that_is_stored_is_being_read_new_blobs_are_sent_and_not_kept()
    {
        // Larger than what the system takes from the server before the client reads it.
        const int size = (int)(16 * MiB);
        var hot = Enumerable.Range(0, 4).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(i, size))).ToList();
        var cold = Enumerable.Range(10, 3).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(i, size))).ToList();
        foreach (var blob in hot)
        {
            await PullAsync(blob.Digest);
            await Mirror.UntilStoredAsync(BlobPath(blob.Digest));
        }
        // The system would take a whole blob for a client that does not read it yet.
        using var slow = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (target, stop) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 64 * 1024 };
                await socket.ConnectAsync(target.DnsEndPoint, stop);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        var readers = await Task.WhenAll(hot.Select(blob => slow.GetAsync(
            new Uri(Mirror.Url, $"/v2/{BlobPath(blob.Digest)}"), HttpCompletionOption.ResponseHeadersRead, Cancel)));

        foreach (var blob in cold)
            await PullAsync(blob.Digest);

        await Until.TrueAsync(
            async () => await Mirror.MetricAsync("mirror_cache_not_kept_total") == cold.Count, () => string.Join('\n', Mirror.Log));
        Assert.DoesNotContain(cold, blob => IsStored(blob.Digest));
        foreach (var (blob, reader) in hot.Zip(readers))
        {
            Assert.Equal(blob.Digest, await DigestOfAsync(reader));
            Assert.True(IsStored(blob.Digest));
            reader.Dispose();
        }

        // There is room again.
        await Until.TrueAsync(
            async () =>
            {
                await PullAsync(cold[0].Digest);
                return IsStored(cold[0].Digest);
            },
            () => string.Join('\n', Mirror.Log));
        Assert.InRange(Stored([.. hot.Concat(cold).Select(blob => blob.Digest)]), size, Limit + Limit / 10);
    }

    private async Task PullAsync(Digest digest)
    {
        using var response = await Mirror.GetAsync(BlobPath(digest));
        Assert.Equal(digest, await DigestOfAsync(response));
    }

    private long MostStored(HashSet<Digest> digests, CancellationToken done)
    {
        var most = 0L;
        while (!done.IsCancellationRequested)
        {
            most = Math.Max(most, Stored(digests));
            Thread.Sleep(10);
        }
        return most;
    }

    // The bytes of those of the blobs that are in the store. A blob that is evicted meanwhile counts by its length, or not at all.
    private long Stored(HashSet<Digest> digests) => digests.Sum(digest =>
        new FileInfo(Path.Combine(Mirror.Root, RegistryLayout.BlobData(digest))) is { Exists: true } file ? file.Length : 0);
}
