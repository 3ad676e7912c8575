using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary><c>proxy.max_size</c> for replicas over one bucket.</summary>
public sealed class BoundedBucketTests() : FleetOfHub(StoreKind.S3)
{
    protected override MirrorSettings Settings(int replica)
    {
        var settings = base.Settings(replica);
        return settings with
        {
            Environment = new Dictionary<string, string>(settings.Environment!) { ["REGISTRY_PROXY_MAX_SIZE"] = "8MiB" },
        };
    }

    [Fact]
    public async Task Replicas_keep_to_one_limit_and_evict_what_none_of_them_has_pulled_for_long()
    {
        var images = Enumerable.Range(0, 12).Select(i => Hub.AddImage(Repository, $"{i}", HubBlob.Seeded(10 + i, MiB))).ToList();
        for (var i = 0; i < 7; i++)
            await PullAsync(Replicas[i % 2], i);
        // Another replica pulls the oldest image again, from a client that has its layer.
        await Replicas[1].PullAsync(Repository, "0");
        // The question makes the replica write its pulls at once.
        var token = await File.ReadAllTextAsync(Path.Combine(Volume.Folder("scratch-1"), "mirror", "admin-token"), Cancel);
        await Until.TrueAsync(
            async () =>
            {
                using var images = await AdminApi.SendAsync(
                    Replicas[1].Debug, HttpMethod.Get, "images", $"Bearer {token.Trim()}");
                return (await images.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("images").GetArrayLength() == 7;
            },
            () => string.Join('\n', Replicas[1].Log));

        for (var i = 7; i < 10; i++)
            await PullAsync(Replicas[0], i);

        // 10 MiB were stored and 8 are allowed.
        foreach (var replica in Replicas)
        {
            await Until.TrueAsync(() => IsGoneAsync(replica, 1), () => string.Join('\n', replica.Log));
            foreach (var kept in new[] { 0, 7, 8, 9 })
                Assert.False(await IsGoneAsync(replica, kept));
        }
        var stored = 0;
        for (var i = 0; i < 10; i++)
            stored += await IsGoneAsync(Replicas[1], i) ? 0 : 1;
        Assert.InRange(stored, 4, 8);

        async Task PullAsync(MirrorProcess replica, int i) =>
            await replica.PullAsync(Repository, $"{i}", [images[i].Layers[0].Digest, images[i].Config.Digest]);

        async Task<bool> IsGoneAsync(MirrorProcess replica, int i)
        {
            using var head = await replica.HeadAsync(BlobPath(images[i].Layers[0].Digest));
            return CacheAnswer.Of(head) != CacheAnswer.Hit;
        }
    }

    [Fact]
    public async Task No_client_is_sent_to_a_blob_that_another_replica_is_deleting_or_may_delete_because_Redis_is_away()
    {
        var image = Hub.AddImage(Repository, "1", HubBlob.Seeded(1, MiB));
        var layer = image.Layers[0].Digest;
        await Replicas[0].PullAsync(Repository, "1", [image.Config.Digest, layer]);
        var reading = Assert.Single(await Redis.KeysAsync($"*reading:*{layer}"));
        var deleting = reading.Replace("reading:", "deleting:", StringComparison.Ordinal);
        // As another replica notes it before it deletes the blob. The note ends without a deletion.
        await Redis.DoAsync("SET", deleting, "", "PX", "3000");

        using (var sent = await Replicas[1].GetAsync(BlobPath(layer)))
        {
            Assert.Equal(HttpStatusCode.TemporaryRedirect, sent.StatusCode);
            Assert.StartsWith(":0", await Redis.DoAsync("EXISTS", deleting));
        }
        await Redis.KillAsync();
        using var here = await Replicas[2].GetAsync(BlobPath(layer));
        Assert.Equal((HttpStatusCode.OK, layer), (here.StatusCode, await DigestOfAsync(here)));
    }

    [LongFact]
    public async Task A_layer_that_a_new_image_shares_with_an_old_one_stays_when_the_old_one_is_the_next_to_go()
    {
        var shared = HubBlob.Seeded(1, MiB);
        var images = Enumerable.Range(0, 10)
            .Select(i => Hub.AddImage(Repository, $"{i}", i == 2 ? [shared, HubBlob.Seeded(12, MiB)] : [HubBlob.Seeded(10 + i, MiB)]))
            .ToList();
        _ = Hub.AddImage(Repository, "later", shared, HubBlob.Seeded(2, MiB));
        // 8 MiB, with the shared layer.
        for (var i = 0; i < 7; i++)
            await PullAsync(Replicas[0], i);
        // This makes a replica look through the store. The first two images go.
        await ForgetReadsAsync();
        await PullAsync(Replicas[2], 7);
        await Until.TrueAsync(() => IsGoneAsync(1), () => string.Join('\n', Replicas[2].Log));

        // The client has the layers: for the replica that evicts next, this image is unknown.
        await Replicas[1].PullAsync(Repository, "later");
        await ForgetReadsAsync();
        for (var i = 8; i < 10; i++)
            await PullAsync(Replicas[2], i);

        await Until.TrueAsync(() => IsGoneAsync(3), () => string.Join('\n', Replicas[2].Log));
        using var head = await Replicas[1].HeadAsync(BlobPath(shared.Digest));
        Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(head));

        async Task PullAsync(MirrorProcess replica, int i) => await replica.PullAsync(
            Repository, $"{i}", [.. images[i].Layers.Prepend(images[i].Config).Select(blob => blob.Digest)]);

        async Task<bool> IsGoneAsync(int i)
        {
            using var head = await Replicas[0].HeadAsync(BlobPath(images[i].Layers[0].Digest));
            return CacheAnswer.Of(head) != CacheAnswer.Hit;
        }

        // As if the clients had read long ago.
        Task ForgetReadsAsync() => Redis.DoAsync(
            "eval", "for _, key in ipairs(redis.call('keys', '*:reading:*')) do redis.call('del', key) end", "0");
    }
}
