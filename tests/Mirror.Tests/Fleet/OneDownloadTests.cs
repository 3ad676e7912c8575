using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>A cold digest asked for at every replica: one of them downloads it, for all.</summary>
public sealed class OneDownloadTests : FleetOfHub
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
                using var blob = await replica.GetAsync(BlobPath(layer.Digest));
                Assert.Equal(HttpStatusCode.OK, blob.StatusCode);
                Assert.Equal(layer.Digest, await DigestOfAsync(blob));
            }));
        }));

        Assert.All(image.Layers, layer => Assert.Equal(layer.Size, Hub.Log.BodyBytes(layer.Digest)));
        Assert.Equal(image.Layers.Count + 1, Hub.Log.Count(Asked.BlobBytes));
        // Clients have their last byte before the store's disk has it, and until then nobody else may begin.
        foreach (var replica in Replicas)
            await Until.TrueAsync(async () => await replica.MetricAsync("mirror_fleet_leases_held") == 0, () => "A lease is held for ever.");
    }

    [Fact]
    public async Task A_range_is_streamed_from_the_spool_of_the_one_that_downloads()
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
    public async Task When_the_one_that_downloads_is_killed_the_clients_of_the_others_notice_only_a_pause()
    {
        var (blob, gate, first) = await BeginAsync(Replicas[0]);
        first.Dispose();
        var clients = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Replicas[1 + i % 2].GetAsync(BlobPath(blob.Digest))));
        Assert.All(clients, client => Assert.Equal(CacheAnswer.Joined, CacheAnswer.Of(client)));
        await Task.WhenAll(clients.Select(async client =>
        {
            var body = await client.Content.ReadAsStreamAsync(Cancel);
            await body.ReadExactlyAsync(new byte[1], Cancel);
        }));

        await Replicas[0].KillAsync();
        gate.Open();
        var ends = await Task.WhenAll(clients.Select(async client =>
        {
            var body = await client.Content.ReadAsStreamAsync(Cancel);
            using var hash = Digest.NewHash("sha256");
            hash.AppendData(blob.Slice(0, 1));
            var buffer = new byte[64 * 1024];
            while (await body.ReadAsync(buffer, Cancel) is var count and > 0)
                hash.AppendData(buffer, 0, count);
            client.Dispose();
            return Digest.FromHash("sha256", hash.GetCurrentHash());
        }));

        Assert.All(ends, end => Assert.Equal(blob.Digest, end));
        Assert.InRange(Hub.Log.BodyBytes(blob.Digest), blob.Size, blob.Size * 13 / 10);
        Assert.True(await Replicas[1].MetricAsync("mirror_fleet_takeovers_total") + await Replicas[2].MetricAsync("mirror_fleet_takeovers_total") >= 20);
    }

    [Fact]
    public async Task One_that_stops_in_good_order_leaves_its_download_to_another()
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

    [Fact]
    public async Task Redis_killed_in_the_middle_of_a_pull_is_not_noticed_by_clients()
    {
        var (blob, gate, first) = await BeginAsync(Replicas[0]);
        using var second = await Replicas[1].GetAsync(BlobPath(blob.Digest));
        await Redis.KillAsync();
        // This one learns of nobody and downloads for itself.
        var third = Replicas[2].GetAsync(BlobPath(blob.Digest));
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(first));
        Assert.Equal(blob.Digest, await DigestOfAsync(second));
        Assert.Equal(blob.Digest, await DigestOfAsync(await third));
        Assert.InRange(Hub.Log.Count(Asked.BlobBytes), 1, 3);
    }

    [Fact]
    public async Task A_blob_of_another_digest_than_its_bytes_never_ends_well_at_any_replica()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(9, 4 * MiB));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.WrongByteAt(100), times: 100);
        var clients = await Task.WhenAll(Replicas.Select(replica => replica.GetAsync(BlobPath(blob.Digest))));
        foreach (var client in clients)
            await Assert.ThrowsAnyAsync<Exception>(() => DigestOfAsync(client));
        Assert.InRange(Hub.Log.Count(Asked.BlobBytes), 1, 12);
    }

    [Fact]
    public async Task A_proof_that_is_forged_or_of_another_path_or_time_makes_nobody_a_replica()
    {
        var (blob, gate, first) = await BeginAsync(Replicas[0]);
        using var whole = first;
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        foreach (var forged in new[] { "", "x", ":", $"{now}:", $"{now}:{new string('0', 64)}", $"{long.MaxValue}:00", "-1:00", new string('9', 5000) })
        {
            // Taken for a replica's, it would be answered by a second download here.
            using var range = await Replicas[1].GetAsync(BlobPath(blob.Digest), ("X-Mirror-Replica", forged), ("Range", "bytes=0-9"));
            Assert.Equal(HttpStatusCode.PartialContent, range.StatusCode);
            Assert.Equal(blob.Slice(0, 10), await range.Content.ReadAsByteArrayAsync(Cancel));
        }
        Assert.Equal(1, Hub.Log.Count(Asked.BlobBytes));
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(whole));
    }

    [Fact]
    public async Task A_lease_that_nobody_of_us_wrote_sends_nobody_anywhere()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(11, MiB));
        await Redis.DoAsync("SET", $"mirror:1:fill:{blob.Digest}", "http://169.254.169.254/ 0");
        using var response = await Replicas[0].GetAsync(BlobPath(blob.Digest));
        Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.Equal(CacheAnswer.Miss, CacheAnswer.Of(response));
    }

    // A blob of which upstream has sent a quarter, and goes on when the gate opens; one client has its headers.
    private async Task<(HubBlob Blob, Gate Gate, HttpResponseMessage First)> BeginAsync(MirrorProcess replica)
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(7, 32 * MiB));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(8 * MiB, gate));
        var first = await replica.GetAsync(BlobPath(blob.Digest));
        await gate.Reached;
        return (blob, gate, first);
    }
}
