using System.Net;
using System.Net.Http.Headers;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.InMemory;

/// <summary>The registry and mirror with its content in memory.</summary>
public sealed class InMemoryTests
{
    private const int MiB = 1 << 20;
    private const string Repository = "library/nginx";
    private const string Small = "  inmemory:\n    maxsize: 16MiB\n";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_image_is_kept_until_the_process_ends()
    {
        MirrorProcess.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Driver = "  inmemory:\n" });
        using var skopeo = new Skopeo();
        var image = TestImage.Create(seed: 60, layers: 2);
        await skopeo.PushAsync(image, $"{mirror.Authority}/acme/app:1");
        var pulled = await skopeo.PullAsync($"{mirror.Authority}/acme/app:1");
        Assert.Equal(image.Manifest, await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), Cancel));

        await mirror.StopAsync();
        await mirror.StartAgainAsync();
        using var gone = await mirror.GetAsync("acme/app/manifests/1");
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Fact]
    public async Task Mirrored_blobs_stay_within_the_size_and_a_push_takes_their_room()
    {
        MirrorProcess.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = hub.Url, Driver = Small });
        for (var i = 0; i < 12; i++)
        {
            var blob = hub.AddBlob(Repository, HubBlob.Seeded(i, 3 * MiB));
            using var answer = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}");
            Assert.Equal(blob.Digest, Digest.Of(await answer.Content.ReadAsByteArrayAsync(Cancel)));
        }
        await Until.TrueAsync(async () => await mirror.MetricAsync("mirror_cache_evictions_total") > 0, () => "Nothing was evicted.");

        // More than what was free.
        var pushed = HubBlob.Seeded(100, 9 * MiB);
        Assert.Equal(HttpStatusCode.Created, await PushAsync(mirror, pushed));
        Assert.Equal(16 * MiB, await mirror.MetricAsync("mirror_store_size_bytes"));
        Assert.InRange(await mirror.MetricAsync("mirror_store_free_bytes"), 0, 7 * MiB);
        using var own = await mirror.GetAsync($"local/app/blobs/{pushed.Digest}");
        Assert.Equal(pushed.Digest, Digest.Of(await own.Content.ReadAsByteArrayAsync(Cancel)));

        // What is pushed does not make room for what is pushed.
        Assert.Equal(HttpStatusCode.InsufficientStorage, await PushAsync(mirror, HubBlob.Seeded(101, 9 * MiB)));
        using var still = await mirror.HeadAsync($"local/app/blobs/{pushed.Digest}");
        Assert.Equal(HttpStatusCode.OK, still.StatusCode);
    }

    [Fact]
    public async Task Pulls_of_many_times_the_size_are_sent_and_stored_again()
    {
        MirrorProcess.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = hub.Url, Driver = "  inmemory:\n    maxsize: 4MiB\n" });
        var next = 0;
        for (; next < 200; next++)
            await PullAsync();
        await Until.TrueAsync(
            async () => await mirror.MetricAsync("mirror_cache_evictions_total") > 100, () => string.Join('\n', mirror.Log));
        await Until.TrueAsync(async () =>
        {
            var last = await PullAsync();
            next++;
            using var stored = await mirror.HeadAsync($"{Repository}/blobs/{last}");
            return CacheAnswer.Of(stored) == CacheAnswer.Hit;
        }, () => string.Join('\n', mirror.Log));

        async Task<Digest> PullAsync()
        {
            var blob = hub.AddBlob(Repository, HubBlob.Seeded(next, MiB / 16));
            using var answer = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}");
            Assert.Equal(blob.Digest, Digest.Of(await answer.Content.ReadAsByteArrayAsync(Cancel)));
            return blob.Digest;
        }
    }

    [Fact]
    public async Task A_blob_that_is_larger_than_the_memory_is_sent_and_not_kept()
    {
        MirrorProcess.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = hub.Url, Driver = Small });
        var blob = hub.AddBlob(Repository, HubBlob.Seeded(1, 20 * MiB));
        using var answer = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}");
        Assert.Equal(blob.Digest, Digest.Of(await answer.Content.ReadAsByteArrayAsync(Cancel)));
        await mirror.UntilLoggedAsync(line => line.Contains("was not stored", StringComparison.Ordinal));
    }

    private static async Task<HttpStatusCode> PushAsync(MirrorProcess mirror, HubBlob blob)
    {
        using var body = new ByteArrayContent(blob.Slice(0, blob.Size));
        body.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using var answer = await Http.Client.PostAsync(
            new Uri(mirror.Url, $"/v2/local/app/blobs/uploads/?digest={blob.Digest}"), body, Cancel);
        return answer.StatusCode;
    }
}
