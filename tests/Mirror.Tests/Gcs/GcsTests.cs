using System.Net;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Gcs;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Gcs;

/// <summary>The registry and mirror with its content in a bucket of Google Cloud Storage.</summary>
public sealed class GcsTests : IAsyncLifetime
{
    private const int MiB = 1 << 20;
    private const string Repository = "library/nginx";

    private readonly TempFolder _folder = new();
    private GoogleStorage _store = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Driver => $"  gcs:\n    bucket: {GoogleStorage.Bucket}\n    keyfile: {_folder["key.json"]}\n"
        + $"    rootdirectory: /registry\n    endpoint: {_store.Url}\n";

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _store = await GoogleStorage.StartAsync();
        _folder.Write("key.json", _store.KeyFile());
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_cold_blob_is_streamed_and_a_warm_one_is_redirected_to_the_bucket()
    {
        await using var hub = await ScriptedHub.StartAsync();
        var blob = hub.AddBlob(Repository, HubBlob.Seeded(1, 12 * MiB));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = hub.Url, Driver = Driver });
        using (var cold = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}"))
            Assert.Equal(blob.Digest, Digest.Of(await cold.Content.ReadAsByteArrayAsync(Cancel)));
        await mirror.UntilStoredAsync($"{Repository}/blobs/{blob.Digest}");

        using var warm = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}");
        Assert.Equal(HttpStatusCode.TemporaryRedirect, warm.StatusCode);
        Assert.Equal(_store.Url.Authority, warm.Headers.Location!.Authority);
        Assert.Equal(blob.Digest, Digest.Of(await Http.Client.GetByteArrayAsync(warm.Headers.Location, Cancel)));
        Assert.Equal(blob.Size, hub.Log.BodyBytes(blob.Digest));
        Assert.Equal(0, _store.OpenUploads);
    }

    [Fact]
    public async Task A_push_whose_client_leaves_while_its_quota_is_measured_is_finished_by_the_next_request()
    {
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Driver = Driver, Hosted = "[\"local/**\"], max_repository_size: 1GiB" });
        var blob = HubBlob.Seeded(8, 1 * MiB);
        using var begun = await Http.Client.PostAsync(new Uri(mirror.Url, "/v2/local/app/blobs/uploads/"), null, Cancel);
        var upload = new Uri(mirror.Url, begun.Headers.Location!);
        using (var sent = await Http.Client.PatchAsync(upload, new ByteArrayContent(blob.Slice(0, blob.Size)), Cancel))
            Assert.Equal(HttpStatusCode.Accepted, sent.StatusCode);
        // After a restart the first request that ends a push waits until the repository is measured.
        await mirror.StopAsync();
        await mirror.StartAgainAsync();
        var isMeasured = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _store.Faults.Set(request =>
        {
            if (!request.Query["prefix"].ToString().Contains("local/app/_layers", StringComparison.Ordinal))
                return null;
            isMeasured.TrySetResult();
            return StoreFault.Hang;
        });

        var end = new UriBuilder(upload) { Query = $"{upload.Query.TrimStart('?')}&digest={blob.Digest}".TrimStart('&') }.Uri;
        using (var leaves = new CancellationTokenSource())
        {
            var left = Http.Client.PutAsync(end, null, leaves.Token);
            await Task.WhenAny(isMeasured.Task, left);
            Assert.False(left.IsCompleted);
            await leaves.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        }
        await Until.TrueAsync(
            async () => await mirror.MetricAsync("mirror_client_aborts_total") > 0, () => "The server does not see that its client left.");
        _store.Faults.Clear();
        await Until.TrueAsync(
            async () =>
            {
                // The measurement that was cut off may fail the first one.
                using var done = await Http.Client.PutAsync(end, null, Cancel);
                Assert.True(
                    done.StatusCode is HttpStatusCode.Created or HttpStatusCode.ServiceUnavailable,
                    $"{done.StatusCode}: {await done.Content.ReadAsStringAsync(Cancel)}");
                return done.StatusCode == HttpStatusCode.Created;
            },
            () => "The push is never finished.");
    }

    [Fact]
    public async Task A_push_that_found_the_store_away_at_its_end_is_finished_by_the_next_request()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Driver = Driver });
        var blob = HubBlob.Seeded(7, 1 * MiB);
        using var begun = await Http.Client.PostAsync(new Uri(mirror.Url, "/v2/local/app/blobs/uploads/"), null, Cancel);
        var upload = new Uri(mirror.Url, begun.Headers.Location!);
        using (var sent = await Http.Client.PatchAsync(upload, new ByteArrayContent(blob.Slice(0, blob.Size)), Cancel))
            Assert.Equal(HttpStatusCode.Accepted, sent.StatusCode);

        var end = new UriBuilder(upload) { Query = $"{upload.Query.TrimStart('?')}&digest={blob.Digest}".TrimStart('&') }.Uri;
        _store.Faults.Set(request => request.Method == "POST" && request.Path != "/token" ? StoreFault.Status(403) : null);
        using (var refused = await Http.Client.PutAsync(end, null, Cancel))
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        _store.Faults.Clear();
        await Until.TrueAsync(async () =>
        {
            using var finished = await Http.Client.PutAsync(end, null, Cancel);
            Assert.NotEqual(HttpStatusCode.NotFound, finished.StatusCode);
            return finished.StatusCode is HttpStatusCode.Created;
        }, () => string.Join('\n', mirror.Log));
        using var stored = await mirror.GetAsync($"local/app/blobs/{blob.Digest}");
        var address = stored.Headers.Location ?? stored.RequestMessage!.RequestUri;
        Assert.Equal(blob.Digest, Digest.Of(await Http.Client.GetByteArrayAsync(address, Cancel)));
        // It is over: no second request finishes it.
        using var unknown = await Http.Client.PutAsync(end, null, Cancel);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    [Fact]
    public async Task An_image_is_pushed_and_pulled_and_trouble_is_503()
    {
        Skopeo.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Driver = Driver });
        using var skopeo = new Skopeo();
        var image = TestImage.Create(seed: 70, layers: 2);
        await skopeo.PushAsync(image, $"{mirror.Authority}/acme/app:1");
        var pulled = await skopeo.PullAsync($"{mirror.Authority}/acme/app:1");
        Assert.Equal(image.Manifest, await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), Cancel));

        _store.Faults.Set(StoreFault.Status(500));
        // For a few seconds the server knows the blob from memory.
        await Until.TrueAsync(async () =>
        {
            using var away = await mirror.GetAsync($"acme/app/blobs/{image.Blobs.First()}");
            return away.StatusCode is HttpStatusCode.ServiceUnavailable;
        }, () => string.Join('\n', mirror.Log));
        _store.Faults.Clear();
        await Until.TrueAsync(async () =>
        {
            using var back = await mirror.GetAsync($"acme/app/blobs/{image.Blobs.First()}");
            return back.StatusCode is HttpStatusCode.TemporaryRedirect;
        }, () => string.Join('\n', mirror.Log));
    }
}
