using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>Clients request an uncached blob from every replica: one replica downloads it, for all.</summary>
public abstract class OneDownloadTests(StoreKind? kind) : FleetOfHub(kind)
{
    [Fact]
    public async Task Sixty_clients_of_three_replicas_cost_upstream_one_download_of_each_blob()
    {
        var image = Hub.AddImage(Repository, "latest", [.. Enumerable.Range(1, 5).Select(i => HubBlob.Seeded(i, 8 * MiB))]);
        Hub.Link.BytesPerSecond = 50 * MiB;
        await Task.WhenAll(Enumerable.Range(0, 60).Select(async i =>
        {
            var replica = Replicas[i % 3];
            using var manifest = await replica.GetAsync(ManifestPath("latest"));
            Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
            await Task.WhenAll(image.Layers.Append(image.Config).Select(async layer =>
            {
                using var blob = await PullAsync(replica.Url, layer.Digest);
                Assert.Equal(HttpStatusCode.OK, blob.StatusCode);
                Assert.Equal(layer.Digest, await DigestOfAsync(blob));
            }));
        }));

        Assert.All(image.Layers, layer => Assert.Equal(layer.Size, Hub.Log.BodyBytes(layer.Digest)));
        Assert.Equal(image.Layers.Count + 1, Hub.Log.Count(Asked.BlobBytes));
        // Clients have the last byte before the store has it on its disk. Until then the lease is held.
        foreach (var replica in Replicas)
            await Until.TrueAsync(async () => await replica.MetricAsync("mirror_fleet_leases_held") == 0, () => "A lease is still held.");
    }

    [Fact]
    public async Task A_range_is_streamed_from_the_spool_of_the_downloading_replica()
    {
        var (blob, gate, first) = await BeginAsync(Replicas[0]);
        using var whole = first;
        using var range = await Replicas[1].GetAsync(BlobPath(blob.Digest), ("Range", "bytes=1000-1999"));
        Assert.Equal(HttpStatusCode.PartialContent, range.StatusCode);
        Assert.Equal(CacheAnswer.Joined, CacheAnswer.Of(range));
        Assert.Equal($"bytes 1000-1999/{blob.Size}", range.Content.Headers.ContentRange?.ToString());
        Assert.Equal(blob.Slice(1000, 2000), await range.Content.ReadAsByteArrayAsync(Cancel));
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(whole));
    }

    [Fact]
    public async Task Clients_of_other_replicas_notice_only_a_pause_when_the_downloading_one_is_killed()
    {
        var (blob, gate, first) = await BeginAsync(Replicas[0], 64 * MiB);
        // Each client has 12 MiB: far ahead of a replica that would begin again.
        var had = blob.Slice(0, 12 * MiB);
        first.Dispose();
        var clients = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Replicas[1 + i % 2].GetAsync(BlobPath(blob.Digest))));
        Assert.All(clients, client => Assert.Equal(CacheAnswer.Joined, CacheAnswer.Of(client)));
        await Task.WhenAll(clients.Select(async client =>
        {
            var body = await client.Content.ReadAsStreamAsync(Cancel);
            var read = new byte[had.Length];
            await body.ReadExactlyAsync(read, Cancel);
            Assert.Equal(had, read);
        }));

        await Replicas[0].KillAsync();
        gate.Open();
        var ends = await Task.WhenAll(clients.Select(async client =>
        {
            var body = await client.Content.ReadAsStreamAsync(Cancel);
            using var hash = Digest.NewHash("sha256");
            hash.AppendData(had);
            var buffer = new byte[64 * 1024];
            while (await body.ReadAsync(buffer, Cancel) is var count and > 0)
                hash.AppendData(buffer, 0, count);
            client.Dispose();
            return Digest.FromHash("sha256", hash.GetCurrentHash());
        }));

        Assert.All(ends, end => Assert.Equal(blob.Digest, end));
        Assert.InRange(Hub.Log.BodyBytes(blob.Digest), blob.Size, blob.Size * 13 / 10);
        var takeovers = await Task.WhenAll(Replicas.Skip(1).Select(replica => replica.MetricAsync("mirror_fleet_takeovers_total")));
        Assert.True(takeovers.Sum() >= 1);
    }

    [Fact]
    public async Task A_replica_that_stops_in_order_leaves_its_download_to_another()
    {
        var (blob, gate, first) = await BeginAsync(Replicas[0]);
        first.Dispose();
        var client = await Replicas[1].GetAsync(BlobPath(blob.Digest));
        var stopping = Replicas[0].StopAsync();
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(client));
        await stopping;
        Assert.InRange(Hub.Log.BodyBytes(blob.Digest), blob.Size, blob.Size * 13 / 10);
    }
}

public sealed class OneDownloadOverAFolderTests() : OneDownloadTests(null)
{
    [Fact]
    public async Task The_spool_of_a_second_download_is_swept_when_it_is_old()
    {
        // Without Redis two replicas download, and the second replica's spool has another name.
        await Redis.KillAsync();
        var (blob, gate, first) = await BeginAsync(Replicas[0]);
        first.Dispose();
        var second = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(8 * MiB, second));
        (await Replicas[1].GetAsync(BlobPath(blob.Digest))).Dispose();
        await second.Reached;
        Assert.Equal(2, Spools().Length);
        await Replicas[1].KillAsync();
        gate.Open();
        second.Open();
        await Replicas[0].UntilStoredAsync(BlobPath(blob.Digest));
        using (var pulled = await Replicas[2].GetAsync(BlobPath(blob.Digest)))
            Assert.Equal(blob.Digest, await DigestOfAsync(pulled));
        // No replica resumes this spool: they look for the first replica's.
        var left = Assert.Single(Spools());
        File.SetLastWriteTimeUtc(left, DateTime.UtcNow.AddDays(-30));
        await Replicas[0].CollectAsync();
        Assert.Empty(Spools());

        string[] Spools() => Directory.GetFiles(Path.Combine(Volume.Path, "mirror", "fills"), "*", SearchOption.AllDirectories);
    }

    [Fact]
    public async Task A_blob_with_a_wrong_byte_ends_in_an_error_at_every_replica()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(9, 4 * MiB));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.WrongByteAt(100), times: 100);
        var clients = await Task.WhenAll(Replicas.Select(replica => replica.GetAsync(BlobPath(blob.Digest))));
        foreach (var client in clients)
            await Assert.ThrowsAnyAsync<Exception>(() => DigestOfAsync(client));
        Assert.InRange(Hub.Log.Count(Asked.BlobBytes), 1, 12);
    }
}

public sealed class OneDownloadOverABucketTests() : OneDownloadTests(StoreKind.S3)
{
    protected override bool IsInSample(string test) =>
        test is nameof(Sixty_clients_of_three_replicas_cost_upstream_one_download_of_each_blob)
            or nameof(A_replica_that_stops_in_order_leaves_its_download_to_another);
}

public sealed class OneDownloadOverAzureTests() : OneDownloadTests(StoreKind.Azure)
{
    protected override bool IsInSample(string test) =>
        test is nameof(Clients_of_other_replicas_notice_only_a_pause_when_the_downloading_one_is_killed);
}

public sealed class OneDownloadOverSwiftTests() : OneDownloadTests(StoreKind.Swift)
{
    protected override bool IsInSample(string test) => false;
}
