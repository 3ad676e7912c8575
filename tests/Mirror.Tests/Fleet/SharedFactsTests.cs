using System.Diagnostics;
using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>What replicas share by Redis, and how requests fare when Redis fails.</summary>
public sealed class SharedFactsTests : FleetOfHub
{
    [Fact]
    public async Task Upstream_is_asked_once_about_a_tag_for_all_replicas()
    {
        var image = Hub.AddImage(Repository, "latest");
        foreach (var replica in Replicas)
        {
            using var response = await replica.GetAsync(ManifestPath("latest"));
            Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
            await UntilTagIsSharedAsync();
        }
        // Each replica's very first request has no token, and is refused.
        Assert.Equal(1, Hub.Log.Requests.Count(r => r is { Asked: Asked.Manifest, Method: "HEAD", Status: 200 }));
        Assert.Equal(1, Hub.Log.Count(Asked.Manifest, "GET"));
        Assert.Equal(1, Hub.Log.TokensIssued.Values.Sum());
    }

    /// <summary>Docker's pull through a load balancer: HEAD by tag, then GET by digest. A pull of the next client may come much
    /// later.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_tag_that_one_replica_checked_is_stored_when_another_one_stores_the_manifest(bool restarts)
    {
        var image = Hub.AddImage(Repository, "latest");
        // A replica does not wait long for Redis before it answers.
        await Until.TrueAsync(
            async () =>
            {
                using var head = await Replicas[0].HeadAsync(ManifestPath("latest"));
                Assert.Equal(HttpStatusCode.OK, head.StatusCode);
                return await Redis.KeysAsync($"*:pending:*{image.Digest}") is not [] && await Redis.KeysAsync("*:tag:*") is not [];
            },
            () => "The replicas do not share the pending tag.");
        if (restarts)
        {
            await Replicas[0].StopAsync();
            await Replicas[0].StartAgainAsync();
        }
        using (var byDigest = await Replicas[restarts ? 0 : 1].GetAsync(ManifestPath(image.Digest)))
            Assert.Equal(HttpStatusCode.OK, byDigest.StatusCode);

        await Hub.Registry.TakeDownAsync();
        using var tags = await Replicas[2].GetAsync($"{Repository}/tags/list");
        Assert.Contains("\"latest\"", await tags.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tags_of_one_manifest_that_two_replicas_checked_are_stored_also_if_no_check_stays_fresh()
    {
        var image = Hub.AddImage(Repository, "latest");
        Hub.MoveTag(Repository, "v1", image.Digest);
        await using var one = await MirrorProcess.StartAsync(Settings(0) with { TagsCacheTtl = "0" });
        await using var two = await MirrorProcess.StartAsync(Settings(1) with { TagsCacheTtl = "0" });
        foreach (var (replica, tag) in new[] { (one, "latest"), (two, "v1") })
            await Until.TrueAsync(
                async () =>
                {
                    using var head = await replica.HeadAsync(ManifestPath(tag));
                    Assert.Equal(HttpStatusCode.OK, head.StatusCode);
                    return await Redis.KeysAsync($"*:pending:*{image.Digest}") is not []
                        && await Redis.KeysAsync($"*:tag:*:{tag}") is not [];
                },
                () => $"The replicas do not share what {tag} names.");
        using (var byDigest = await Replicas[2].GetAsync(ManifestPath(image.Digest)))
            Assert.Equal(HttpStatusCode.OK, byDigest.StatusCode);

        await Hub.Registry.TakeDownAsync();
        using var tags = await Replicas[2].GetAsync($"{Repository}/tags/list");
        var list = await tags.Content.ReadAsStringAsync(Cancel);
        Assert.Contains("\"latest\"", list, StringComparison.Ordinal);
        Assert.Contains("\"v1\"", list, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_manifest_asked_for_at_all_replicas_at_once_costs_one_request_each_at_most()
    {
        var image = Hub.AddImage(Repository, "latest");
        await Task.WhenAll(Enumerable.Range(0, 60).Select(async i =>
        {
            using var response = await Replicas[i % 3].GetAsync(ManifestPath("latest"));
            Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        }));
        Assert.InRange(Hub.Log.Requests.Count(r => r is { Asked: Asked.Manifest, Method: "GET", Status: 200 }), 1, Replicas.Count);
    }

    [Fact]
    public async Task A_value_of_any_length_in_Redis_takes_no_memory()
    {
        const string fill = "for _, key in ipairs(redis.call('keys', '*:manifest:*')) do "
            + "redis.call('hset', key, 'data', string.rep('x', 67108864)) end";
        var image = Hub.AddImage(Repository, "latest");
        using (var first = await Replicas[0].GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        await Redis.DoAsync("EVAL", fill, "0");
        using var response = await Replicas[1].GetAsync(ManifestPath("latest"));
        Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        Assert.InRange(Replicas[1].PeakResident, 0, Replicas[0].PeakResident + (40 << 20));
    }

    [Fact]
    public async Task Redis_shows_no_credential_and_no_token_and_every_key_ends_by_itself()
    {
        Hub.AddImage(Repository, "latest");
        using var response = await Replicas[0].GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var token = Assert.Single(Hub.Log.AuthorizationSeenBy("registry")).Split(' ')[1];
        var keys = await Redis.KeysAsync("*");
        Assert.Contains(keys, key => key.Contains(":token:", StringComparison.Ordinal));
        // The format's number: two versions with different formats can run over one Redis.
        Assert.All(keys, key => Assert.StartsWith("mirror:2:", key, StringComparison.Ordinal));
        foreach (var key in keys)
        {
            var value = await Redis.DoAsync("HGETALL", key) + await Redis.DoAsync("GET", key);
            Assert.DoesNotContain(token, key + value, StringComparison.Ordinal);
            Assert.DoesNotContain(await Redis.DoAsync("PTTL", key), ":-1\r\n", StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Values_that_no_replica_wrote_are_ignored(bool asHash)
    {
        var image = Hub.AddImage(Repository, "latest");
        using (var first = await Replicas[0].GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        // Another manifest under this digest, a sealed value under another key, and a value without a seal: as RedisCache writes, or as
        // plain text.
        var keys = await Redis.KeysAsync("*");
        // A replica does not wait for Redis before it answers.
        await Until.TrueAsync(
            async () => (keys = await Redis.KeysAsync("*")).Any(key => key.Contains(":tag:", StringComparison.Ordinal))
                && keys.Any(key => key.Contains(":manifest:", StringComparison.Ordinal)),
            () => string.Join(' ', keys));
        var tag = keys.Single(key => key.Contains(":tag:", StringComparison.Ordinal));
        var manifest = keys.Single(key => key.Contains(":manifest:", StringComparison.Ordinal));
        var forged = $"{DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()} {image.Config.Digest} 2 x";
        await Redis.DoAsync("RENAME", tag, tag.Replace(":latest", ":other", StringComparison.Ordinal));
        await WriteAsync(manifest, "{}");
        await WriteAsync(tag, forged);
        using (var second = await Replicas[1].GetAsync(ManifestPath("latest")))
            Assert.Equal(image.Bytes, await second.Content.ReadAsByteArrayAsync(Cancel));
        using var other = await Replicas[1].GetAsync(ManifestPath("other"));
        Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);

        Task WriteAsync(string key, string value) =>
            asHash ? Redis.DoAsync("HSET", key, "data", value, "absexp", "-1", "sldexp", "-1") : Redis.DoAsync("SET", key, value);
    }

    [Fact]
    public async Task All_replicas_see_a_moved_tag_within_a_second()
    {
        Hub.AddImage(Repository, "latest");
        foreach (var replica in Replicas)
            (await replica.GetAsync(ManifestPath("latest"))).Dispose();
        var moved = Hub.AddImage(Repository, "latest", HubBlob.Seeded(5, 100));
        // One replica learns of it, because it and Redis have forgotten the last check.
        await Redis.DoAsync("FLUSHALL");
        await Replicas[0].StopAsync();
        await Replicas[0].StartAgainAsync();
        await Until.TrueAsync(async () =>
        {
            using var learnt = await Replicas[0].GetAsync(ManifestPath("latest"));
            return (await learnt.Content.ReadAsByteArrayAsync(Cancel)).SequenceEqual(moved.Bytes);
        }, () => "The tag has not moved.");
        await Until.TrueAsync(async () =>
        {
            using var response = await Replicas[1].GetAsync(ManifestPath("latest"));
            return (await response.Content.ReadAsByteArrayAsync(Cancel)).SequenceEqual(moved.Bytes);
        }, () => "The other replica did not see the tag move.");
    }

    [Theory]
    [InlineData("killed")]
    [LongData("hanging")]
    [InlineData("paused")]
    [InlineData("full")]
    [InlineData("read-only")]
    [InlineData("flushed")]
    public async Task Pulls_succeed_in_little_time_while_Redis_fails(string fault)
    {
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, MiB), HubBlob.Seeded(2, MiB));
        await BreakAsync(fault);
        var clock = Stopwatch.StartNew();
        foreach (var replica in Replicas)
        {
            using var manifest = await replica.GetAsync(ManifestPath("latest"));
            Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
            foreach (var layer in image.Layers)
            {
                using var blob = await replica.GetAsync(BlobPath(layer.Digest));
                Assert.Equal(layer.Digest, await DigestOfAsync(blob));
            }
        }
        // Nine requests. Some lose a second or so, but not one for each request to Redis.
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(20));
        Assert.InRange(Hub.Log.Count(Asked.BlobBytes), image.Layers.Count, image.Layers.Count * 3);
    }

    [Fact]
    public async Task Clients_do_not_notice_that_Redis_is_killed_during_a_pull()
    {
        var (blob, gate, first) = await BeginAsync(Replicas[0]);
        using var second = await Replicas[1].GetAsync(BlobPath(blob.Digest));
        await Redis.KillAsync();
        // This replica finds no lease and downloads for itself.
        var third = Replicas[2].GetAsync(BlobPath(blob.Digest));
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(first));
        Assert.Equal(blob.Digest, await DigestOfAsync(second));
        Assert.Equal(blob.Digest, await DigestOfAsync(await third));
        Assert.InRange(Hub.Log.Count(Asked.BlobBytes), 1, 3);
    }

    [Fact]
    public async Task Warm_pulls_do_not_notice_that_Redis_hangs()
    {
        var image = Hub.AddImage(Repository, "latest");
        (await Replicas[0].GetAsync(ManifestPath("latest"))).Dispose();
        await BreakAsync("paused");
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < 20; i++)
        {
            using var response = await Replicas[0].GetAsync(ManifestPath("latest"));
            Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        }
        // A request that asked a Redis that hangs would take a second.
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(15));
    }

    [Fact]
    public async Task A_Redis_that_comes_back_is_used_again()
    {
        Hub.AddImage(Repository, "one");
        Hub.AddImage(Repository, "two", HubBlob.Seeded(3, 100));
        await Redis.KillAsync();
        (await Replicas[0].GetAsync(ManifestPath("one"))).Dispose();
        await Redis.StartAgainAsync();
        await Until.TrueAsync(async () =>
        {
            (await Replicas[0].GetAsync(ManifestPath("two"))).Dispose();
            (await Replicas[0].GetAsync(ManifestPath(Guid.NewGuid().ToString("N")))).Dispose();
            return (await Redis.DoAsync("PUBSUB", "NUMSUB", Keys.Changes)).Contains(":3\r\n", StringComparison.Ordinal);
        }, () => "Not every replica listens again:\n" + string.Join('\n', Replicas[0].Log));
    }

    private async Task BreakAsync(string fault)
    {
        switch (fault)
        {
            case "killed":
                await Redis.KillAsync();
                break;
            case "hanging":
                _ = Redis.DoAsync("DEBUG", "SLEEP", "20");
                break;
            case "paused":
                await Redis.DoAsync("CLIENT", "PAUSE", "20000", "ALL");
                break;
            case "full":
                await Redis.DoAsync("CONFIG", "SET", "maxmemory", "1");
                break;
            case "read-only":
                await Redis.DoAsync("REPLICAOF", "127.0.0.1", "1");
                break;
            case "flushed":
                await Redis.DoAsync("FLUSHALL");
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(fault));
        }
    }

}
