using System.Net;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>Redis over TLS, with a private authority and a client certificate.</summary>
public sealed class RedisOverTlsTests : FleetOfHub
{
    private readonly RedisTls _tls = new();
    private readonly RedisTls _stranger = new();

    protected override Task<RedisProcess> StartRedisAsync() => RedisProcess.StartAsync(_tls);

    // The last replica trusts another authority than the server's.
    protected override MirrorSettings Settings(int replica) => base.Settings(replica) with
    {
        More = $"""
            redis:
              addr: {_tls.Address}
              tls:
                certificate: {_tls.Client.Certificate}
                key: {_tls.Client.Key}
                rootcas: [{(replica < 2 ? _tls : _stranger).Authority}]

            """,
    };

    [Fact]
    public async Task Replicas_that_trust_the_authority_share_and_another_one_pulls_alone()
    {
        var image = Hub.AddImage(Repository, "latest");
        await Redis.UntilListeningAsync(Keys.Changes, 2);
        foreach (var replica in Replicas.Take(2))
        {
            using var response = await replica.GetAsync(ManifestPath("latest"));
            Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
            await UntilTagIsSharedAsync();
        }
        Assert.Equal(1, Hub.Log.TokensIssued.Values.Sum());

        // The third replica does not trust the server, and pulls without it.
        using var alone = await Replicas[2].GetAsync(ManifestPath("latest"));
        Assert.Equal((HttpStatusCode.OK, 2), (alone.StatusCode, Hub.Log.TokensIssued.Values.Sum()));
        Assert.Contains($"{Keys.Changes}\r\n:2\r\n", await Redis.DoAsync("PUBSUB", "NUMSUB", Keys.Changes), StringComparison.Ordinal);
    }
}
