using System.Collections.Concurrent;
using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>Pushes, deletes and garbage collection at the same time, all on the running program.</summary>
public sealed class SweepingTests
{
    private const int Clients = 16;

    private static readonly int Images = Figures.Full ? 200 : 64;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_acknowledged_image_breaks_while_garbage_is_collected_and_others_are_deleted()
    {
        // Nothing but the grace of a second keeps what a push has not named yet, and a sweep begins every second.
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string>
            {
                ["REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECT"] = "{enabled: true, interval: 1s, grace: 1s, deleteuntagged: true}",
            },
        });
        var shared = Enumerable.Range(0, 5).Select(i => UploadTests.Bytes(200_000 + i)).ToArray();
        var acknowledged = new ConcurrentDictionary<int, Image>();

        await Parallel.ForEachAsync(Enumerable.Range(0, Images), new ParallelOptions { MaxDegreeOfParallelism = Clients, CancellationToken = Cancel }, async (i, _) =>
        {
            var repository = new PushedRepository(mirror, $"apps/app-{i % 7}");
            // Every second image has the shared layers: what one delete lets go, another push is about to name.
            var layers = i % 2 == 0 ? shared : [.. Enumerable.Range(0, 5).Select(layer => System.Text.Encoding.UTF8.GetBytes($"{i} {layer} {new string('x', 50_000)}"))];
            var image = await PushAsync(repository, $"v{i}", layers);
            // Every fifth goes at once.
            if (i % 5 == 0)
                Assert.Equal(HttpStatusCode.Accepted, await repository.StatusOfAsync("DELETE", $"manifests/{image.Manifest}"));
            else
                acknowledged[i] = image;
        });

        // Images with the same layers in one repository are one manifest: a delete took its tags along, and said so.
        var deleted = Enumerable.Range(0, Images).Where(i => i % 5 == 0 && i % 2 == 0).Select(i => i % 7).ToHashSet();
        foreach (var (i, image) in acknowledged.Where(image => image.Key % 2 == 1 || !deleted.Contains(image.Key % 7)))
        {
            var repository = new PushedRepository(mirror, $"apps/app-{i % 7}");
            Assert.Equal(image.Manifest, Digest.Of(await repository.BytesAsync($"manifests/v{i}")));
            foreach (var blob in image.Blobs)
                Assert.Equal(blob, Digest.Of(await repository.BytesAsync($"blobs/{blob}")));
        }
        Assert.Contains(mirror.Log, line => line.Contains("garbage", StringComparison.OrdinalIgnoreCase));
    }

    // As clients do: what is there is not sent again, and what is said to be missing is.
    private static async Task<Image> PushAsync(PushedRepository repository, string tag, byte[][] layers)
    {
        for (var attempt = 0; attempt < 20; attempt++)
        {
            List<Digest> blobs = [];
            foreach (var layer in layers)
            {
                var digest = Digest.Of(layer);
                if (await repository.StatusOfAsync("HEAD", $"blobs/{digest}") != HttpStatusCode.OK)
                    await repository.PushAsync(layer);
                blobs.Add(digest);
            }
            var config = await repository.PushAsync(System.Text.Encoding.UTF8.GetBytes($"config {blobs[0]}"));
            var list = string.Join(',', blobs.Select(blob => $$"""{"mediaType":"{{MediaTypes.OctetStream}}","digest":"{{blob}}","size":1}"""));
            var manifest = System.Text.Encoding.UTF8.GetBytes(
                $$"""{"schemaVersion":2,"mediaType":"{{OciManifest}}","config":{"mediaType":"application/vnd.test.config","digest":"{{config}}","size":1},"layers":[{{list}}]}""");
            using var put = await repository.SendAsync("PUT", $"manifests/{tag}", manifest, OciManifest);
            if (put.StatusCode == HttpStatusCode.Created)
                return new Image(Digest.Of(manifest), [config, .. blobs]);
            await AssertErrorAsync(put, 404, "MANIFEST_BLOB_UNKNOWN");
        }
        throw new InvalidOperationException("Not pushed in 20 attempts.");
    }

    private sealed record Image(Digest Manifest, IReadOnlyList<Digest> Blobs);
}
