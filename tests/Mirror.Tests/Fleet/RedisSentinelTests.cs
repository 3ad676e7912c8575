using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>A Redis master and its replica, found by a Sentinel.</summary>
public sealed class RedisSentinelTests : FleetOfHub
{
    private RedisProcess _second = null!;
    private RedisSentinel _sentinel = null!;

    protected override async Task<RedisProcess> StartRedisAsync()
    {
        var master = await RedisProcess.StartAsync();
        _second = await RedisProcess.StartAsync(null, ["--replicaof", .. master.Address.Split(':')]);
        _sentinel = await RedisSentinel.StartAsync(master);
        return master;
    }

    protected override MirrorSettings Settings(int replica) => base.Settings(replica) with
    {
        More = $"""
            redis:
              addrs: ["{_sentinel.Address}"]
              mastername: {RedisSentinel.Master}
              sentinelusername: {RedisSentinel.User}
              sentinelpassword: {RedisSentinel.Password}

            """,
    };

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        if (_sentinel is not null)
            await _sentinel.DisposeAsync();
        if (_second is not null)
            await _second.DisposeAsync();
    }

    [Fact]
    public async Task Replicas_share_by_the_master_and_after_a_failover_by_the_new_one()
    {
        await Redis.UntilListeningAsync(Keys.Changes, Replicas.Count);
        await PullEverywhereAsync("one");

        await Redis.KillAsync();
        await _second.UntilListeningAsync(Keys.Changes, Replicas.Count);
        await Until.TrueAsync(
            async () => (await _second.DoAsync("ROLE")).Contains("master", StringComparison.Ordinal), () => "There was no failover.");
        // Redis counts as away for a few seconds after the failures.
        await Until.TrueAsync(async () =>
        {
            foreach (var replica in Replicas)
                (await replica.GetAsync(ManifestPath(Guid.NewGuid().ToString("N")))).Dispose();
            return (await _second.KeysAsync("*")).Count > 0 && await SharesAsync();
        }, () => "Nothing is shared by the new master:\n" + string.Join('\n', Replicas[0].Log));

        async Task<bool> SharesAsync()
        {
            var tag = Guid.NewGuid().ToString("N");
            Hub.AddImage(Repository, tag);
            var before = Heads();
            foreach (var replica in Replicas)
                (await replica.GetAsync(ManifestPath(tag))).Dispose();
            return Heads() == before + 1;
        }
    }

    private int Heads() => Hub.Log.Requests.Count(r => r is { Asked: Asked.Manifest, Method: "HEAD", Status: 200 });

    private async Task PullEverywhereAsync(string tag)
    {
        var image = Hub.AddImage(Repository, tag);
        foreach (var replica in Replicas)
        {
            using var response = await replica.GetAsync(ManifestPath(tag));
            Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        }
        Assert.Equal(1, Heads());
    }
}
