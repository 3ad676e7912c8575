using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>A process that may open few files: what is here is served, however many downloads are asked for.</summary>
public sealed class OpenFilesTests : MirrorOfHub
{
    private const int Limit = 400;

    private ScriptedHub _second = null!;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _second.DisposeAsync();
    }

    protected override async Task<ScriptedHub> StartHubAsync()
    {
        _second = await ScriptedHub.StartAsync();
        return await base.StartHubAsync();
    }

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        if (Availability.Of("prlimit") is { IsAvailable: false } missing)
            missing.OrSkip();
        return new()
        {
            Upstream = hub.Url,
            TagsCacheTtl = "0",
            Limits = $"--nofile={Limit}",
            More = $"  upstreams:\n  - {{remoteurl: \"{_second.Url.OriginalString}\", name: two.example}}\n",
        };
    }

    [Fact]
    public async Task Downloads_that_never_end_do_not_take_the_files_that_cached_content_needs()
    {
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1 << 20));
        await PullAsync(image);
        await Mirror.UntilStoredAsync(BlobPath(image.Layers[0].Digest));

        // More downloads than there are files, each left by its client, and none of them comes forward.
        var gate = new Gate();
        var cold = Enumerable.Range(0, Limit).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(1000 + i, 100_000))).ToList();
        foreach (var blob in cold)
            Hub.Fault(blob.Digest, BlobFault.StalledAt(50_000, gate));
        var refused = 0;
        foreach (var some in cold.Chunk(10))
            refused += (await Task.WhenAll(some.Select(StartedAsync))).Count(started => !started);
        Assert.NotEqual(0, refused);
        // On connections of its own and on new ones.
        for (var i = 0; i < 20; i++)
            await PullAsync(image);

        gate.Open();
        await Until.TrueAsync(async () => await Mirror.MetricAsync("mirror_fills_running") == 0, () => "The downloads do not end.");
        foreach (var blob in cold.TakeLast(5))
            using (var response = await Mirror.GetAsync(BlobPath(blob.Digest)))
                Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.DoesNotContain(Mirror.Log, line => line.Contains("unexpected failure", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_upstream_that_hangs_leaves_downloads_for_the_others()
    {
        var gate = new Gate();
        var refused = 0;
        for (var i = 0; refused == 0; i++)
        {
            Assert.True(i < Limit, "No download is refused.");
            var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1000 + i, 100_000));
            Hub.Fault(blob.Digest, BlobFault.StalledAt(50_000, gate));
            refused += await StartedAsync(blob) ? 0 : 1;
        }
        var cold = _second.AddBlob(Repository, HubBlob.Seeded(1, 100_000));
        using (var response = await Mirror.GetAsync($"two.example/{BlobPath(cold.Digest)}"))
            Assert.Equal(cold.Digest, await DigestOfAsync(response));
        gate.Open();
        // The operator learns the limit that is reached, and not that the store is at fault.
        await Until.TrueAsync(
            () => Mirror.Log.Any(line => line.Contains("all places for downloads", StringComparison.Ordinal)
                && line.Contains("ulimit -n", StringComparison.Ordinal)),
            () => string.Join('\n', Mirror.Log));
    }

    // False where it is refused, in the protocol's words.
    private async Task<bool> StartedAsync(HubBlob blob)
    {
        using var response = await Mirror.GetAsync(BlobPath(blob.Digest));
        if (response.StatusCode == HttpStatusCode.OK)
            return true;
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        Assert.NotNull(response.Headers.RetryAfter);
        return false;
    }

    private async Task PullAsync(HubImage image)
    {
        using (var manifest = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
        foreach (var blob in image.Layers.Append(image.Config))
        {
            using var client = new HttpClient();
            using var response = await client.GetAsync(new Uri(Mirror.Url, $"/v2/{BlobPath(blob.Digest)}"), Cancel);
            Assert.Equal(blob.Digest, await DigestOfAsync(response));
        }
    }
}
