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
}
