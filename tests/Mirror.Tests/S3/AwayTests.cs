using System.Net;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using Xunit;

namespace Mirror.Tests.S3;

/// <summary>A mirror with a local cache whose bucket goes away.</summary>
[Collection(FragileGateway.Name)]
public sealed class AwayTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("killed")]
    [LongData("hanging")]
    public async Task Images_pulled_or_pushed_before_can_be_pulled_while_the_bucket_is_away(string how)
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        var store = await SharedRadosgw.OrSkipAsync();
        await store.StartGatewayAsync();
        var (mirrored, pushed) = (TestImage.Create(seed: 60, layers: 3), TestImage.Create(seed: 61, layers: 2));
        using var skopeo = new Skopeo();
        await using var upstream = await DockerRegistry.StartAsync();
        await skopeo.PushAsync(mirrored, $"{upstream.Authority}/acme/hello:1");
        using var cache = new TempFolder();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = upstream.Url,
            TagsCacheTtl = "0",
            Driver = BucketDriver.Of(store.FragileUrl, $"test/{Guid.NewGuid():N}") + $"    localcache:\n      path: {cache.Path}\n",
            More = "health: {storagedriver: {enabled: true, interval: 1s}}\n",
        });
        await AssertPulledAsync(skopeo, mirrored, $"{mirror.Authority}/acme/hello:1");
        await skopeo.PushAsync(pushed, $"{mirror.Authority}/local/app:1");
        await AssertPulledAsync(skopeo, pushed, $"{mirror.Authority}/local/app:1");
        foreach (var blob in mirrored.Blobs)
            await mirror.UntilStoredAsync($"acme/hello/blobs/{blob}");

        if (how == "killed")
            await store.KillGatewayAsync();
        else
            store.HangGateway();
        try
        {
            // The mirror reports that the store is away, and serves its copies.
            await Until.TrueAsync(
                async () => (await HealthAsync(mirror)).Contains("storagedriver_s3", StringComparison.Ordinal),
                () => "The mirror reports that the store is healthy.");
            await AssertPulledAsync(skopeo, mirrored, $"{mirror.Authority}/acme/hello:1");
            await AssertPulledAsync(skopeo, pushed, $"{mirror.Authority}/local/app:1");
            if (how == "killed")
            {
                // A new process has the copies, too.
                await mirror.StopAsync();
                await mirror.StartAgainAsync();
                await AssertPulledAsync(skopeo, mirrored, $"{mirror.Authority}/acme/hello:1");
                await AssertPulledAsync(skopeo, pushed, $"{mirror.Authority}/local/app:1");
            }
            string[] paths =
            [
                "local/app/manifests/2",
                "local/other/manifests/1",
                $"local/app/blobs/{mirrored.Blobs.First()}",
                $"local/app/blobs/{Digest.Of([1])}",
            ];
            foreach (var unknown in paths)
            {
                using var answer = await mirror.GetAsync(unknown);
                Assert.Equal((unknown, HttpStatusCode.ServiceUnavailable), (unknown, answer.StatusCode));
            }
        }
        finally
        {
            if (how == "killed")
                await store.StartGatewayAsync();
            else
                store.WakeGateway();
        }

        await Until.TrueAsync(async () =>
        {
            using var answer = await mirror.GetAsync("local/other/manifests/1");
            return answer.StatusCode == HttpStatusCode.NotFound;
        }, () => "The bucket is back, but it is not used.");
        await skopeo.PushAsync(mirrored, $"{mirror.Authority}/local/other:1");
        await AssertPulledAsync(skopeo, mirrored, $"{mirror.Authority}/local/other:1");
        await Until.TrueAsync(async () => await HealthAsync(mirror) == "{}", () => "The mirror reports that the store is away.");
    }

    private static async Task<string> HealthAsync(MirrorProcess mirror)
    {
        using var answer = await Http.Client.GetAsync(new Uri(mirror.Debug, "/debug/health"), Cancel);
        return await answer.Content.ReadAsStringAsync(Cancel);
    }

    [Fact]
    public async Task With_wrong_credentials_the_answer_is_unavailable_and_not_missing()
    {
        MirrorProcess.Availability.OrSkip();
        var store = await SharedRadosgw.OrSkipAsync();
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Driver = BucketDriver.Of(store.Url, "test", secretKey: "expired") });
        foreach (var path in new[] { "local/app/manifests/1", $"local/app/blobs/{Digest.Of([1])}", "local/app/tags/list", "_catalog" })
        {
            using var answer = await mirror.GetAsync(path);
            Assert.Equal((path, HttpStatusCode.ServiceUnavailable), (path, answer.StatusCode));
        }
    }

    [Theory]
    [InlineData(StoreKind.S3)]
    [LongData(StoreKind.Oss)]
    public async Task Without_its_bucket_what_is_copied_is_served_and_nothing_else_is_missing(StoreKind kind)
    {
        MirrorProcess.Availability.OrSkip();
        var store = await SharedRadosgw.OrSkipAsync();
        using var client = store.Client();
        var (name, bytes) = ($"gone-{Guid.NewGuid():N}", new byte[] { 1, 2, 3 });
        await client.PutBucketAsync(name, Cancel);
        using var cache = new TempFolder();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Driver = (kind is StoreKind.S3
                ? BucketDriver.Of(store.Url, "test").Replace($"bucket: {Radosgw.Bucket}", $"bucket: {name}", StringComparison.Ordinal)
                : $"  oss:\n    accesskeyid: {Radosgw.AccessKey}\n    accesskeysecret: {Radosgw.SecretKey}\n    region: us-east-1\n"
                    + $"    endpoint: http://{name}.localhost:{store.Url.Port}\n    bucket: {name}\n")
                + $"    localcache:\n      path: {cache.Path}\n",
        });
        var blob = Digest.Of(bytes);
        using (var body = new ByteArrayContent(bytes))
        using (var pushed = await Http.Client.PostAsync(new Uri(mirror.Url, $"/v2/local/app/blobs/uploads/?digest={blob}"), body, Cancel))
            Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);
        await mirror.StopAsync();
        foreach (var found in (await client.ListObjectsV2Async(new() { BucketName = name }, Cancel)).S3Objects)
            await client.DeleteObjectAsync(name, found.Key, Cancel);
        await client.DeleteBucketAsync(name, Cancel);
        await mirror.StartAgainAsync();

        foreach (var method in new[] { HttpMethod.Head, HttpMethod.Get })
        {
            using var copied = await mirror.SendAsync(method, $"local/app/blobs/{blob}");
            Assert.Equal((method, HttpStatusCode.OK), (method, copied.StatusCode));
            using var unknown = await mirror.SendAsync(method, $"local/app/blobs/{Digest.Of([1])}");
            Assert.Equal((method, HttpStatusCode.ServiceUnavailable), (method, unknown.StatusCode));
        }
        using var mounted = await mirror.SendAsync(HttpMethod.Post, $"local/other/blobs/uploads/?mount={blob}&from=local/app");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, mounted.StatusCode);
    }

    private static async Task AssertPulledAsync(Skopeo skopeo, TestImage image, string name)
    {
        var pulled = await skopeo.PullAsync(name);
        Assert.Equal(image.Manifest, await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), Cancel));
        Assert.All(image.Blobs, blob => Assert.True(File.Exists(Path.Combine(pulled, blob.Hex))));
    }
}
