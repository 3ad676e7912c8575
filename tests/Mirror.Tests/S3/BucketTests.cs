using System.Net;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedRadosgw))]

namespace Mirror.Tests.S3;

/// <summary>The mirror with its content in a bucket.</summary>
[Collection(FragileGateway.Name)]
public sealed class BucketTests : IAsyncLifetime
{
    private const int MiB = 1 << 20;
    private const string Repository = "library/nginx";

    private readonly string _root = $"test/{Guid.NewGuid():N}";
    private Radosgw _store = null!;
    private ScriptedHub _hub = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _store = await SharedRadosgw.OrSkipAsync();
        _hub = await ScriptedHub.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_hub is not null)
            await _hub.DisposeAsync();
    }

    [Fact]
    public async Task A_pull_does_not_wait_for_an_eviction_that_was_killed_while_it_deleted_the_manifest()
    {
        var image = _hub.AddImage(Repository, "1", HubBlob.Seeded(1, 1000));
        using var client = _store.Client();
        // The eviction left this. Whatever stores the manifest waits for two minutes, and then deletes it.
        var condemnation = $"{_root}/{RegistryLayout.Condemned(image.Digest)}/killed";
        await client.PutObjectAsync(
            new() { BucketName = Radosgw.Bucket, Key = condemnation, ContentBody = "", UseChunkEncoding = false }, Cancel);
        await using var mirror = await StartAsync();

        foreach (var reference in new[] { "1", "1", image.Digest.ToString() })
            using (var pulled = await mirror.GetAsync($"{Repository}/manifests/{reference}"))
                Assert.Equal(image.Bytes, await pulled.Content.ReadAsByteArrayAsync(Cancel));
        await client.GetObjectMetadataAsync(Radosgw.Bucket, condemnation, Cancel);
        Assert.Equal(1, _hub.Pulls);
    }

    [Fact]
    public async Task A_cold_blob_is_streamed_and_a_warm_one_is_redirected_to_the_bucket()
    {
        var blob = _hub.AddBlob(Repository, HubBlob.Seeded(1, 12 * MiB));
        await using var mirror = await StartAsync();
        using (var cold = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}"))
        {
            Assert.Equal(HttpStatusCode.OK, cold.StatusCode);
            Assert.Equal(blob.Digest, Digest.Of(await cold.Content.ReadAsByteArrayAsync(Cancel)));
        }
        await mirror.UntilStoredAsync($"{Repository}/blobs/{blob.Digest}");

        using var warm = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}");
        Assert.Equal(HttpStatusCode.TemporaryRedirect, warm.StatusCode);
        Assert.True(warm.Headers.CacheControl!.NoStore);
        Assert.Equal(_store.Url.Authority, warm.Headers.Location!.Authority);
        Assert.Equal(blob.Digest, Digest.Of(await Http.Client.GetByteArrayAsync(warm.Headers.Location, Cancel)));
        using var head = await mirror.HeadAsync($"{Repository}/blobs/{blob.Digest}");
        Assert.Equal((HttpStatusCode.OK, blob.Size), (head.StatusCode, head.Content.Headers.ContentLength));
        Assert.Equal(blob.Size, _hub.Log.BodyBytes(blob.Digest));
    }

    [Fact]
    public async Task Without_redirects_the_mirror_sends_warm_blobs_and_ranges_of_them()
    {
        var blob = _hub.AddBlob(Repository, HubBlob.Seeded(2, 12 * MiB));
        await using var mirror = await StartAsync("  redirect:\n    disable: true\n");
        using (var cold = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}"))
            Assert.Equal(blob.Digest, Digest.Of(await cold.Content.ReadAsByteArrayAsync(Cancel)));
        await mirror.UntilStoredAsync($"{Repository}/blobs/{blob.Digest}");

        using var warm = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}");
        Assert.Equal((HttpStatusCode.OK, CacheAnswer.Hit), (warm.StatusCode, CacheAnswer.Of(warm)));
        var whole = await warm.Content.ReadAsByteArrayAsync(Cancel);
        Assert.Equal(blob.Digest, Digest.Of(whole));
        using var part = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}", ("Range", "bytes=6000000-6000999"));
        Assert.Equal(HttpStatusCode.PartialContent, part.StatusCode);
        Assert.Equal(whole[6000000..6001000], await part.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(blob.Size, _hub.Log.BodyBytes(blob.Digest));
    }

    [Fact]
    public async Task An_image_that_docker_registry_put_into_the_bucket_is_served()
    {
        var image = TestImage.Create(seed: 40, layers: 3);
        await using (var old = await RegistryAsync())
        {
            using var skopeo = new Skopeo();
            await skopeo.PushAsync(image, $"{old.Authority}/acme/hello:1");
        }
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Driver = Driver(_store.Url) });
        await AssertPulledAsync(image, $"{mirror.Authority}/acme/hello:1");
        using var catalog = await mirror.GetAsync("_catalog");
        Assert.Equal("{\"repositories\":[\"acme/hello\"]}", (await catalog.Content.ReadAsStringAsync(Cancel)).Trim());
    }

    [Fact]
    public async Task An_image_that_was_pushed_to_the_mirror_is_served_by_docker_registry()
    {
        var image = TestImage.Create(seed: 41, layers: 3);
        await using (var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Driver = Driver(_store.Url) }))
        {
            using var skopeo = new Skopeo();
            await skopeo.PushAsync(image, $"{mirror.Authority}/acme/hello:1");
            await AssertPulledAsync(image, $"{mirror.Authority}/acme/hello:1");
        }
        await using var old = await RegistryAsync();
        await AssertPulledAsync(image, $"{old.Authority}/acme/hello:1");
        Assert.Contains("acme/hello", await Http.Client.GetStringAsync(new Uri(old.Url, "/v2/_catalog"), Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Events_wait_in_the_scratch_folder()
    {
        using var scratch = new TempFolder();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Driver = Driver(_store.Url) + $"    scratchdirectory: {scratch.Path}\n",
            // Nothing listens on that port.
            More = "notifications:\n  endpoints:\n"
                + $"    - {{name: ci, url: 'http://127.0.0.1:{Ports.Free()}', timeout: 1s, threshold: 1, backoff: 1s}}\n",
        });
        byte[] bytes = [1, 2, 3];
        var upload = new Uri(mirror.Url, $"/v2/local/app/blobs/uploads/?digest={Digest.Of(bytes)}");
        using var pushed = await Http.Client.PostAsync(upload, new ByteArrayContent(bytes), Cancel);
        Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);
        var queue = Path.Combine(scratch.Path, RegistryLayout.Notifications, "ci");
        await Until.TrueAsync(
            () => Directory.EnumerateFiles(queue, "*.events", SearchOption.AllDirectories).Any(file => new FileInfo(file).Length > 0),
            () => $"No event waits in {queue}.");
    }

    [Fact]
    public async Task While_the_store_is_away_stored_content_is_503_and_comes_back_with_it()
    {
        var blob = _hub.AddBlob(Repository, HubBlob.Seeded(3, MiB));
        await _store.StartGatewayAsync();
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = _hub.Url, Driver = Driver(_store.FragileUrl) });
        using (var cold = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}"))
            Assert.Equal(blob.Digest, Digest.Of(await cold.Content.ReadAsByteArrayAsync(Cancel)));
        await mirror.UntilStoredAsync($"{Repository}/blobs/{blob.Digest}");

        await _store.KillGatewayAsync();
        using (var away = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, away.StatusCode);
            // The client does not learn the address or the credentials of the bucket.
            Assert.DoesNotContain(Radosgw.AccessKey, await away.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        }
        await _store.StartGatewayAsync();
        using var back = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}");
        Assert.Equal(HttpStatusCode.TemporaryRedirect, back.StatusCode);
    }

    private Task<MirrorProcess> StartAsync(string more = "") =>
        MirrorProcess.StartAsync(new MirrorSettings { Upstream = _hub.Url, Driver = Driver(_store.Url) + more });

    private async Task<DockerRegistry> RegistryAsync()
    {
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        return await DockerRegistry.StartAsync(driver: Driver(_store.Url));
    }

    private string Driver(Uri url) => BucketDriver.Of(url, _root);

    private static async Task AssertPulledAsync(TestImage image, string name)
    {
        using var skopeo = new Skopeo();
        var pulled = await skopeo.PullAsync(name);
        Assert.Equal(image.Manifest, await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), Cancel));
        Assert.All(image.Blobs, blob => Assert.True(File.Exists(Path.Combine(pulled, blob.Hex))));
    }
}
