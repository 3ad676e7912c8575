using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>Replicas with two upstreams: the one that holds the lease of a blob has trouble with its own.</summary>
public sealed class NeighbourTests : FleetOfHub
{
    private ScriptedHub _two = null!;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        if (_two is not null)
            await _two.DisposeAsync();
    }

    [Fact]
    public async Task A_lease_held_for_an_upstream_that_hangs_does_not_hold_up_the_others_clients()
    {
        var blob = _two.AddBlob(Repository, Hub.AddBlob(Repository, HubBlob.Seeded(30, 8 * MiB)));
        var gate = new Gate();
        Hub.Script(r => r.Asked == Asked.Blob, Answer.HeldBy(gate));
        var waiting = Replicas[0].GetAsync(BlobPath(blob.Digest));
        await gate.Reached;
        using (var served = await Replicas[1].GetAsync(BlobPath(blob.Digest, $"two.example/{Repository}")))
            Assert.Equal(blob.Digest, await DigestOfAsync(served));
        Assert.False(waiting.IsCompleted);
        gate.Open();
        using var late = await waiting;
        Assert.Equal(blob.Digest, await DigestOfAsync(late));
        Assert.Equal(blob.Size, _two.Log.BodyBytes(blob.Digest));
    }

    [Fact]
    public async Task A_refusal_to_the_replica_that_downloads_is_for_its_own_repository()
    {
        var blob = _two.AddBlob(Repository, HubBlob.Seeded(31, 8 * MiB));
        var gate = new Gate();
        Hub.Script(r => r.Asked == Asked.Blob, Answer.HeldBy(gate));
        var refused = new[] { Replicas[0].GetAsync(BlobPath(blob.Digest)), Replicas[1].GetAsync(BlobPath(blob.Digest)) };
        await gate.Reached;
        var served = Replicas[1].GetAsync(BlobPath(blob.Digest, $"two.example/{Repository}"));
        await _two.Log.WhenAskedAsync(r => r.Method == "HEAD");
        gate.Open();
        foreach (var answer in await Task.WhenAll(refused))
        {
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            answer.Dispose();
        }
        using var right = await served;
        Assert.Equal(blob.Digest, await DigestOfAsync(right));
        Assert.Equal(blob.Size, _two.Log.BodyBytes(blob.Digest));
    }

    protected override async Task<RedisProcess> StartRedisAsync()
    {
        _two = await ScriptedHub.StartAsync();
        return await base.StartRedisAsync();
    }

    protected override MirrorSettings Settings(int replica)
    {
        var settings = base.Settings(replica);
        return settings with
        {
            More = $"  upstreams:\n  - {{remoteurl: \"{_two.Url.OriginalString}\", name: two.example}}\n{settings.More}",
        };
    }
}
