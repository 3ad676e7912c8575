using System.Net;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>A Redis that is spoken to by TLS only, with an authority that no system knows, and that wants to see a certificate itself.</summary>
public sealed class RedisOverTlsTests : FleetOfHub
{
    private readonly RedisTls _tls = new();
    private readonly RedisTls _stranger = new();

    protected override Task<RedisProcess> StartRedisAsync() => RedisProcess.StartAsync(_tls);

    // The last replica believes another authority than the server's.
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
    public async Task Replicas_share_what_they_learn_with_whom_the_server_proves_to_be()
    {
        var image = Hub.AddImage(Repository, "latest");
        await Until.TrueAsync(async () => (await Redis.DoAsync("PUBSUB", "NUMSUB", "mirror:1:changes")).Contains(":2\r\n", StringComparison.Ordinal), () => "Nobody came.");
        foreach (var replica in Replicas.Take(2))
        {
            using var response = await replica.GetAsync(ManifestPath("latest"));
            Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        }
        Assert.Equal(1, Hub.Log.TokensIssued.Values.Sum());

        // The third one trusts no such server, and pulls all the same.
        using var alone = await Replicas[2].GetAsync(ManifestPath("latest"));
        Assert.Equal((HttpStatusCode.OK, 2), (alone.StatusCode, Hub.Log.TokensIssued.Values.Sum()));
        Assert.Contains("mirror:1:changes\r\n:2\r\n", await Redis.DoAsync("PUBSUB", "NUMSUB", "mirror:1:changes"), StringComparison.Ordinal);
    }
}
