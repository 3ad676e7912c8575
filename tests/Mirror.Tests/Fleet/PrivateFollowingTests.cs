using System.Net;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>Replicas with <c>proxy.private: client</c>.</summary>
public sealed class PrivateFollowingTests : FleetOfHub
{
    protected override int Count => 2;

    protected override MirrorSettings Settings(int replica)
    {
        var settings = base.Settings(replica);
        return settings with
        {
            Environment = new Dictionary<string, string>(settings.Environment!) { ["REGISTRY_PROXY_PRIVATE"] = "client" },
        };
    }

    [Fact]
    public async Task A_client_gets_a_layer_of_its_private_image_while_another_replica_downloads_it_for_another_private_image()
    {
        Hub.Account = ("alice", PasswordFile.Password);
        Hub.Private.Add("acme/one");
        Hub.Private.Add("acme/two");
        var blob = Hub.AddBlob("acme/one", Hub.AddBlob("acme/two", HubBlob.Seeded(60, 8 * MiB)));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(2 * MiB, gate));
        var login = ("Authorization", PasswordFile.Basic("alice"));
        using var first = await Replicas[0].GetAsync(BlobPath(blob.Digest, "acme/one"), login);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        await gate.Reached;

        // The first replica does not have this client's login. So the second one downloads the blob itself.
        using var second = await Replicas[1].GetAsync(BlobPath(blob.Digest, "acme/two"), login);
        Assert.True(second.StatusCode == HttpStatusCode.OK, $"{second.StatusCode}\n{Hub.Log}");
        Assert.Equal(blob.Digest, await DigestOfAsync(second));
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(first));
    }
}
