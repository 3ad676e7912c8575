using System.Text.RegularExpressions;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>A Redis whose user for the mirror may do only what <c>docs/fleet.md</c> names.</summary>
public sealed partial class RedisUserTests : FleetOfHub
{
    // As in docs/fleet.md.
    private const string Rights =
        "~mirror:* &mirror:* -@all +@read +@write +@connection +eval +evalsha +script|load +publish +subscribe +info";

    protected override Task<RedisProcess> StartRedisAsync() =>
        RedisProcess.StartAsync(null, ["--requirepass", "admin", "--user", "mirror", "on", ">pw", .. Rights.Split(' ')]);

    // The last replica has the wrong password.
    protected override MirrorSettings Settings(int replica) => base.Settings(replica) with
    {
        More = $"redis: {{addr: \"{Redis.Address}\", username: mirror, password: {(replica < 2 ? "pw" : "wrong")}}}\n",
    };

    [Fact]
    public async Task Replicas_share_facts_leases_and_announcements_as_that_user()
    {
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, MiB));
        await Redis.UntilListeningAsync(Keys.Changes, 2);
        foreach (var replica in Replicas.Take(2))
        {
            using var response = await replica.GetAsync(ManifestPath("latest"));
            Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
            await UntilTagIsSharedAsync();
        }
        Assert.Equal(1, Hub.Log.TokensIssued.Values.Sum());
        Assert.Equal(1, Hub.Log.Requests.Count(r => r is { Asked: Asked.Manifest, Method: "HEAD", Status: 200 }));

        var (blob, gate, first) = await BeginAsync(Replicas[0]);
        using var whole = first;
        using var joined = await Replicas[1].GetAsync(BlobPath(blob.Digest));
        Assert.Equal(CacheAnswer.Joined, CacheAnswer.Of(joined));
        Assert.Contains(await Redis.KeysAsync("*"), key => key == Keys.Lease(blob.Digest));
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(joined));
        Assert.Equal(blob.Digest, await DigestOfAsync(whole));
        var lease = Keys.Lease(blob.Digest);
        await Until.TrueAsync(async () => !(await Redis.KeysAsync("*")).Contains(lease), () => "The lease is still held.");

        // The client asks for two things more when it connects, and does without them.
        var refused = Refused().Matches(await Redis.DoAsync("ACL", "LOG")).Select(entry => entry.Groups[1].Value);
        Assert.Equal(["cluster|nodes", "config|get"], refused.Distinct().Order());
        Assert.Contains("user=mirror", await Redis.DoAsync("CLIENT", "LIST"), StringComparison.Ordinal);

        using var alone = await Replicas[2].GetAsync(ManifestPath("latest"));
        Assert.Equal(image.Bytes, await alone.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(2, Hub.Log.TokensIssued.Values.Sum());
    }

    [GeneratedRegex("reason\r\n\\$\\d+\r\n(?:command|key|channel)\r\n.*?object\r\n\\$\\d+\r\n(\\S+)", RegexOptions.Singleline)]
    private static partial Regex Refused();
}
