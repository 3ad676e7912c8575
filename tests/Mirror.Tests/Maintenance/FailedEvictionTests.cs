using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>A store that refuses what an eviction asks of it, for a while.</summary>
public sealed class FailedEvictionTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public async Task An_eviction_that_failed_is_tried_again_soon_and_the_downloads_that_wait_for_room_are_stored()
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(StoreKind.S3);
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            Driver = $"{store.Driver}  redirect: {{disable: true}}\n",
            Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MAX_SIZE"] = "8MiB" },
        });
        // Evictions delete blobs. All else that is written goes on.
        store.Faults.Set(request =>
            request.Method is "DELETE" && request.Path.Value!.Contains("/v2/blobs/") ? StoreFault.Status(403) : null);
        var images = Enumerable.Range(0, 9).Select(i => hub.AddImage("library/app", $"{i}", HubBlob.Seeded(10 + i, MiB))).ToList();
        foreach (var (i, image) in images.Index())
            foreach (var path in new[] { $"manifests/{i}", $"blobs/{image.Config.Digest}", $"blobs/{image.Layers[0].Digest}" })
                using (var answer = await mirror.GetAsync($"library/app/{path}"))
                    Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

        // Once a minute would be too rare: at most a few bytes may wait for room.
        await Until.TrueAsync(
            () => mirror.Log.Count(line => line.Contains("eviction of mirrored blobs failed")) >= 3, () => string.Join('\n', mirror.Log));
        store.Faults.Clear();

        await mirror.UntilStoredAsync($"library/app/blobs/{images[^1].Layers[0].Digest}");
        Assert.Equal(0, await mirror.MetricAsync("mirror_cache_not_kept_total"));
    }
}
