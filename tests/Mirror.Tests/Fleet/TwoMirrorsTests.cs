using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.Files;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>Two different mirrors with one Redis and one <c>http.secret</c>, as after copying a sample file.</summary>
[Collection(nameof(FleetOfHub))]
public sealed class TwoMirrorsTests
{
    private const string Name = "library/nginx";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_answers_with_its_own_upstreams_image(bool fromOneFolder)
    {
        MirrorProcess.Availability.OrSkip();
        RedisProcess.Availability.OrSkip();
        await using var redis = await RedisProcess.StartAsync();
        await using var one = await ScriptedHub.StartAsync();
        await using var two = await ScriptedHub.StartAsync();
        using var folder = new TempFolder();
        var first = one.AddImage(Name, "latest", HubBlob.Seeded(1, 1000));
        var second = two.AddImage(Name, "latest", HubBlob.Seeded(2, 1000));
        one.AddImage(Name, "only-one", HubBlob.Seeded(3, 1000));
        await using var ofOne = await StartAsync(one, redis, fromOneFolder ? folder.Folder("shared") : folder.Folder("one"));
        await using var ofTwo = await StartAsync(two, redis, fromOneFolder ? folder.Folder("shared") : folder.Folder("two"));

        foreach (var (mirror, image) in new[] { (ofOne, first), (ofTwo, second), (ofOne, first), (ofTwo, second) })
        {
            using var response = await mirror.GetAsync($"{Name}/manifests/latest");
            Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        }
        using (var there = await ofOne.GetAsync($"{Name}/manifests/only-one"))
            Assert.Equal(HttpStatusCode.OK, there.StatusCode);
        using (var absent = await ofTwo.HeadAsync($"{Name}/manifests/only-one"))
            Assert.Equal(HttpStatusCode.NotFound, absent.StatusCode);
    }

    [Fact]
    public async Task A_download_of_one_mirror_is_not_followed_by_the_other()
    {
        MirrorProcess.Availability.OrSkip();
        RedisProcess.Availability.OrSkip();
        await using var redis = await RedisProcess.StartAsync();
        await using var one = await ScriptedHub.StartAsync();
        await using var two = await ScriptedHub.StartAsync();
        using var folder = new TempFolder();
        var blob = HubBlob.Seeded(4, 8 << 20);
        one.AddBlob(Name, blob);
        two.AddBlob("other/name", blob);
        await using var ofOne = await StartAsync(one, redis, folder.Folder("one"));
        await using var ofTwo = await StartAsync(two, redis, folder.Folder("two"));
        var gate = new Gate();
        one.Fault(blob.Digest, BlobFault.StalledAt(1 << 20, gate));
        using var stalled = await ofOne.GetAsync($"{Name}/blobs/{blob.Digest}");
        await gate.Reached;

        // The other mirror has the blob under another name, for which the first one would answer 404.
        using var response = await ofTwo.GetAsync($"other/name/blobs/{blob.Digest}");
        Assert.Equal(CacheAnswer.Miss, CacheAnswer.Of(response));
        Assert.Equal(blob.Slice(0, blob.Size), await response.Content.ReadAsByteArrayAsync(Cancel));
        gate.Open();
    }

    /// <summary>Two processes without Redis do not know of each other. The second one spools under a random name.</summary>
    [Fact]
    public async Task A_broken_download_beside_another_process_leaves_no_file_behind()
    {
        MirrorProcess.Availability.OrSkip();
        await using var one = await ScriptedHub.StartAsync();
        await using var two = await ScriptedHub.StartAsync();
        using var folder = new TempFolder();
        var blob = HubBlob.Seeded(5, 8 << 20);
        one.AddBlob(Name, blob);
        two.AddBlob(Name, blob);
        await using var ofOne = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = one.Url, Root = folder.Path });
        await using var ofTwo = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = two.Url, Root = folder.Path });
        var gate = new Gate();
        one.Fault(blob.Digest, BlobFault.StalledAt(1 << 20, gate));
        using var stalled = await ofOne.GetAsync($"{Name}/blobs/{blob.Digest}");
        await gate.Reached;

        two.Fault(blob.Digest, BlobFault.Refused(503), 100);
        using (var response = await ofTwo.GetAsync($"{Name}/blobs/{blob.Digest}"))
            Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        // Once it has ended, the second process has only the first one's spool beside it.
        await ofTwo.StopAsync();
        Assert.Single(Directory.GetFiles(folder.Path, $"*{blob.Digest.Hex}*", SearchOption.AllDirectories));
        gate.Open();
        Assert.Equal(blob.Slice(0, blob.Size), await stalled.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Fact]
    public void Names_in_Redis_tell_stores_and_upstreams_apart()
    {
        using var folders = new TempFolder();
        var (a, b) = (folders.Folder("a"), folders.Folder("b"));
        Directory.CreateSymbolicLink(Path.Combine(folders.Path, "link"), a);
        var keys = Of(a, "https://one.example");

        // The same store by another path, and the same upstream: one fleet.
        Assert.Equal(Names(keys), Names(Of(Path.Combine(folders.Path, "link"), "https://one.example")));
        var otherStore = Of(b, "https://one.example");
        Assert.All(Names(keys).Zip(Names(otherStore)), pair => Assert.NotEqual(pair.First, pair.Second));
        // The same store with another upstream: facts and leases differ, and changes of the store are announced to both.
        const string same = "https://one.example";
        RedisKeys[] others = [Of(a, "https://two.example"), Of(a, same, "/docker/"), Of(a, same, named: "one")];
        foreach (var other in others)
        {
            Assert.All(Names(keys)[..2].Zip(Names(other)), pair => Assert.NotEqual(pair.First, pair.Second));
            Assert.Equal(keys.Changes, other.Changes);
        }
        Assert.NotEqual(Names(Bucket("x", "a")), Names(Bucket("x", "b")));
        Assert.NotEqual(Names(Bucket("x", "a")), Names(Bucket("y", "a")));
        Assert.Equal(Names(Bucket("https://x/", "a")), Names(Bucket("x", "a")));

        static string[] Names(RedisKeys keys) => [keys.Fact("tag", "library/nginx:latest"), keys.Lease(Digest.Of([])), keys.Changes];
        static RedisKeys Of(string root, string upstream, string prefix = "/", string? named = null) => Keys(new()
        {
            Http = new() { Prefix = prefix },
            Proxy = new() { RemoteUrl = new Uri(upstream), Name = named },
            Storage = new() { Filesystem = new() { RootDirectory = root } },
        });
        static RedisKeys Bucket(string endpoint, string bucket) =>
            Keys(new() { Storage = new() { S3 = new() { RegionEndpoint = endpoint, Bucket = bucket } } });
        static RedisKeys Keys(MirrorOptions options) =>
            new(new FleetKeys(new HttpOptions { Secret = "s" }), new FleetIdentity(options, NullLogger<FleetIdentity>.Instance));
    }

    [Fact]
    public void Processes_that_start_at_once_agree_on_the_identity_of_a_folder()
    {
        using var folder = new TempFolder();
        var identities = Enumerable.Range(0, 20).AsParallel().WithDegreeOfParallelism(20).Select(_ => FileStoreIdentity.Of(folder.Path));
        Assert.Equal(32, Assert.Single(identities.Distinct()).Length);
        Assert.Empty(Directory.GetFiles(Path.Combine(folder.Path, "mirror", "tmp")));
    }

    private static Task<MirrorProcess> StartAsync(ScriptedHub hub, RedisProcess redis, string root) =>
        MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            Root = root,
            More = $"redis:\n  addr: {redis.Address}\n  readtimeout: 1s\n",
            Environment = new Dictionary<string, string>
            {
                ["REGISTRY_HTTP_SECRET"] = "asecretforlocaldevelopment",
                ["REGISTRY_FLEET_LEAVE"] = "0s",
            },
        });
}
