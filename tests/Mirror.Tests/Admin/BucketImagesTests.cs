using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Mirror.Tests.S3;
using Mirror.Tests.Stores;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary>The list of images, pins and purges of a server whose content is in a bucket.</summary>
public sealed class BucketImagesTests
{
    private const int MiB = 1 << 20;
    private const string Repository = "library/nginx";

    [Theory]
    [InlineData("s3")]
    [InlineData("azure")]
    public async Task Images_are_listed_pinned_and_purged_as_in_a_folder(string driver)
    {
        if (!Figures.Full && driver is not "s3")
            Assert.Skip("over Azure with MIRROR_TESTS=full");
        MirrorProcess.Availability.OrSkip();
        using var scratch = new TempFolder();
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            // The administrator's token is in the folder for temporary files.
            Root = scratch.Path,
            Driver = $"{(driver is "s3" ? await S3Async() : await AzureAsync())}    scratchdirectory: {scratch.Path}\n",
            Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MAX_SIZE"] = "6MiB" },
        });
        var shared = HubBlob.Seeded(1, MiB);
        HubImage[] images =
        [
            .. Enumerable.Range(0, 2).Select(i => hub.AddImage(Repository, $"{i}", shared, HubBlob.Seeded(10 + i, MiB))),
        ];

        // 1. The list and the sums.
        await PullAsync(0);
        await PullAsync(1);
        var list = await mirror.ImagesAsync(list => list.Length == 2 && list.All(image => image.GetProperty("whole").GetBoolean()));
        Assert.All(list, image => Assert.InRange(image.GetProperty("size").GetInt64(), 2 * MiB, 2 * MiB + 5000));
        Assert.All(list, image => Assert.InRange(image.GetProperty("shared").GetInt64(), MiB, MiB + 5000));
        var usage = await mirror.AdminAsync("usage");
        Assert.InRange(usage.GetProperty("size").GetInt64(), 3 * MiB, 3 * MiB + 10_000);
        Assert.Equal(6 * MiB, usage.GetProperty("maxSize").GetInt64());
        Assert.Equal(JsonValueKind.Null, usage.GetProperty("free").ValueKind);

        // 2. What is pinned is not purged; what is purged goes at once, but for the layer of another image.
        await mirror.PostAdminAsync("pin", new { image = $"{Repository}:0" });
        using (var refused = await mirror.AskAdminAsync(HttpMethod.Post, "purge", new { image = $"{Repository}:0" }))
            Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
        var purged = await mirror.PostAdminAsync("purge", new { image = $"{Repository}:1" });
        Assert.InRange(purged.GetProperty("freed").GetInt64(), MiB, MiB + 5000);
        Assert.False(await IsStoredAsync(images[1].Layers[1].Digest));
        Assert.True(await IsStoredAsync(shared.Digest));

        // A client has the last bytes of a blob a moment before it is stored.
        async Task PullAsync(int i)
        {
            using (var manifest = await mirror.GetAsync($"{Repository}/manifests/{i}"))
                Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
            foreach (var layer in images[i].Layers.Append(images[i].Config))
                await Until.TrueAsync(
                    async () =>
                    {
                        if (await IsStoredAsync(layer.Digest))
                            return true;
                        using var blob = await mirror.GetAsync($"{Repository}/blobs/{layer.Digest}");
                        if (blob.StatusCode == HttpStatusCode.OK)
                            Assert.Equal(layer.Digest, Digest.Of(await blob.Content.ReadAsByteArrayAsync(Cancel)));
                        return false;
                    },
                    () => string.Join('\n', mirror.Log));
        }

        async Task<bool> IsStoredAsync(Digest digest)
        {
            using var head = await mirror.HeadAsync($"{Repository}/blobs/{digest}");
            return CacheAnswer.Of(head) == CacheAnswer.Hit;
        }
    }

    [Fact]
    public async Task The_manifest_of_an_image_is_read_once_for_the_list_with_two_tags_and_without_one()
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(StoreKind.S3);
        using var scratch = new TempFolder();
        Digest tagged, untagged;
        // The server that has the pushes reads what they changed.
        await using (var before = await StartAsync(scratch.Folder("first")))
        {
            var repository = new PushedRepository(before, "local/app");
            (tagged, _) = await repository.PushManifestAsync("1", "tagged");
            await repository.PushManifestAsync("2", "tagged");
            var manifest = PushedRepository.Manifest(await repository.PushAsync("untagged"u8.ToArray()));
            untagged = Digest.Of(manifest);
            using var put = await repository.SendAsync("PUT", $"manifests/{untagged}", manifest, PushedRepository.OciManifest);
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        }
        ConcurrentQueue<string> read = [];
        store.Faults.Set(request =>
        {
            if (request.Method == "GET")
                read.Enqueue(request.Path);
            return null;
        });
        var next = 0;
        // On a busy machine a request for a manifest may be sent again because the store answers late. Another server does not repeat that.
        await Until.TrueAsync(
            async () =>
            {
                read.Clear();
                await using var mirror = await StartAsync(scratch.Folder($"{++next}"));
                await mirror.ImagesAsync(list => list.Length == 3);
                return CountOf(tagged) == 1 && CountOf(untagged) == 1;
            },
            () => string.Join('\n', read));

        int CountOf(Digest digest) => read.Count(path => path.EndsWith($"/{digest.Hex}/data", StringComparison.Ordinal));

        // The administrator's token is in the folder for temporary files.
        Task<MirrorProcess> StartAsync(string folder) => MirrorProcess.StartAsync(new MirrorSettings
        {
            Root = folder,
            Driver = $"{store.Driver}    scratchdirectory: {folder}\n",
        });
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static async Task<string> S3Async() => BucketDriver.Of((await SharedRadosgw.OrSkipAsync()).Url, $"test/{Guid.NewGuid():N}");

    private static async Task<string> AzureAsync() =>
        $"  azure:\n    accountname: {Azurite.Account}\n    accountkey: {Azurite.Key}\n    container: c{Guid.NewGuid():N}\n"
        + $"    serviceurl: {(await SharedAzurite.OrSkipAsync()).Url}\n";
}
