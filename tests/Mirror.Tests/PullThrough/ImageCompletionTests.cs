using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary><c>proxy.complete</c>: images whose base layers a client had already are complete for the next client.</summary>
public sealed class ImageCompletionTests : MirrorOfHub
{
    private const string First = "library/first";
    private const string Second = "library/second";

    private static readonly HubBlob Base = HubBlob.Seeded(1, 50_000);
    private static readonly HubBlob Own = HubBlob.Seeded(2, 20_000);

    [Theory]
    [InlineData("linked")]
    [InlineData("off")]
    public async Task Without_upstream_a_fresh_client_gets_an_image_of_which_another_one_had_the_base(string complete)
    {
        await using var mirror = await StartAsync(complete);
        await PullAsync(mirror, First, Hub.AddImage(First, "latest", Base, HubBlob.Seeded(3, 1000)));
        var image = Hub.AddImage(Second, "latest", Base, Own);
        // This client has the base from the first image.
        using (await mirror.GetAsync(ManifestPath("latest", Second)))
            await GetBlobAsync(mirror, Second, Own.Digest);
        if (complete is "linked")
            await Until.TrueAsync(() => IsLinked(mirror, Second, Base.Digest), () => string.Join('\n', mirror.Log));
        Assert.Equal(Base.Size, Hub.Log.BodyBytes(Base.Digest));

        await Hub.Registry.TakeDownAsync();
        using (var manifest = await mirror.GetAsync(ManifestPath(image.Digest, Second)))
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        using var blob = await mirror.GetAsync(BlobPath(Base.Digest, Second));
        if (complete is "linked")
            Assert.Equal(Base.Digest, await DigestOfAsync(blob));
        else
            Assert.Equal(HttpStatusCode.ServiceUnavailable, blob.StatusCode);
    }

    [Fact]
    public async Task A_download_for_no_client_stands_still_while_one_for_a_client_runs()
    {
        const int MiB = 1 << 20, large = 32 * MiB;
        await using var mirror = await StartAsync("images");
        var missing = HubBlob.Seeded(5, large);
        Hub.AddImage(First, "latest", missing, Own);
        var (background, client) = (new Gate(), new Gate());
        Hub.Fault(missing.Digest, BlobFault.StalledAt(MiB, background));
        using (await mirror.GetAsync(ManifestPath("latest", First)))
            await GetBlobAsync(mirror, First, Own.Digest);
        await background.Reached;
        var wanted = Hub.AddBlob(Second, HubBlob.Seeded(6, 2 * MiB));
        Hub.Fault(wanted.Digest, BlobFault.StalledAt(MiB, client));
        using var pull = await mirror.GetAsync(BlobPath(wanted.Digest, Second));
        await client.Reached;

        background.Open();
        await Until.TrueAsync(() => Hub.Log.BodyBytes(missing.Digest) > MiB, () => string.Join('\n', mirror.Log));
        for (var seed = 10; seed < 14; seed++)
            await GetBlobAsync(mirror, Second, Hub.AddBlob(Second, HubBlob.Seeded(seed, 2 * MiB)).Digest);
        // The rest is in no buffer of a connection: these are smaller.
        Assert.InRange(Hub.Log.BodyBytes(missing.Digest), MiB, large - MiB);

        client.Open();
        Assert.Equal(wanted.Digest, await DigestOfAsync(pull));
        await Until.TrueAsync(() => IsLinked(mirror, First, missing.Digest), () => string.Join('\n', mirror.Log));
    }

    [Fact]
    public async Task Missing_layers_are_downloaded_where_the_setting_says_so_and_a_look_at_a_manifest_downloads_nothing()
    {
        await using var mirror = await StartAsync("images");
        var other = HubBlob.Seeded(4, 1000);
        Hub.AddImage(First, "latest", other);
        using (await mirror.GetAsync(ManifestPath("latest", First)))
        {
        }
        Hub.AddImage(Second, "latest", Base, Own);
        using (await mirror.GetAsync(ManifestPath("latest", Second)))
            await GetBlobAsync(mirror, Second, Own.Digest);

        await Until.TrueAsync(() => IsLinked(mirror, Second, Base.Digest), () => string.Join('\n', mirror.Log));
        await Hub.Registry.TakeDownAsync();
        await GetBlobAsync(mirror, Second, Base.Digest);
        Assert.Equal(0, Hub.Log.BodyBytes(other.Digest));
    }

    [Fact]
    public async Task With_linked_no_blob_is_downloaded_that_no_client_asked_for()
    {
        await using var mirror = await StartAsync("linked");
        await PullAsync(mirror, First, Hub.AddImage(First, "latest", Base));
        var third = HubBlob.Seeded(5, 1000);
        Hub.AddImage(Second, "latest", third, Base, Own);
        using (await mirror.GetAsync(ManifestPath("latest", Second)))
            await GetBlobAsync(mirror, Second, Own.Digest);
        await Until.TrueAsync(() => IsLinked(mirror, Second, Base.Digest), () => string.Join('\n', mirror.Log));
        Assert.Equal(0, Hub.Log.BodyBytes(third.Digest));
    }

    private static async Task PullAsync(MirrorProcess mirror, string repository, HubImage image)
    {
        using (await mirror.GetAsync(ManifestPath("latest", repository)))
            foreach (var blob in ManifestDocument.Read(image.Bytes)!.Blobs)
                await GetBlobAsync(mirror, repository, blob.Digest);
    }

    private static async Task GetBlobAsync(MirrorProcess mirror, string repository, Digest digest)
    {
        using var response = await mirror.GetAsync(BlobPath(digest, repository));
        Assert.Equal(digest, await DigestOfAsync(response));
    }

    private static bool IsLinked(MirrorProcess mirror, string repository, Digest digest) => File.Exists(Path.Combine(
        mirror.Root, "docker", "registry", "v2", "repositories", repository, "_layers", digest.Algorithm, digest.Hex, "link"));

    private Task<MirrorProcess> StartAsync(string complete) =>
        MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, More = $"  complete: {complete}\n" });
}
