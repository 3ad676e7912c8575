using System.Net;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>With <c>proxy.hold</c>, requests for missing content wait for an upstream that is away.</summary>
public sealed class OutageRetryTests : MirrorOfHub
{
    private static readonly HubBlob Layer = HubBlob.Seeded(1, 100_000);

    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, More = "  hold: 2m\n" };

    [Fact]
    public async Task Pulls_that_began_while_upstream_was_down_succeed_when_it_is_back()
    {
        Skopeo.Availability.OrSkip();
        var image = Hub.AddImage(Repository, "latest", Layer);
        var other = Hub.AddBlob(Repository, HubBlob.Seeded(2, 100_000));
        var pulled = TestImage.Create(1);
        Hub.AddImage(Repository, "pulled", pulled);
        await Hub.Registry.TakeDownAsync();

        using var skopeo = new Skopeo();
        var pull = skopeo.PullAsync($"{Mirror.Authority}/{Repository}:pulled");
        List<Task<HttpResponseMessage>> manifests = [.. Enumerable.Range(0, 5).Select(_ => Mirror.GetAsync(ManifestPath("latest")))];
        List<Task<HttpResponseMessage>> blobs = [.. Enumerable.Range(0, 5).Select(_ => Mirror.GetAsync(BlobPath(other.Digest)))];
        await UntilHeldAsync(11);
        await Hub.Registry.BringUpAsync();

        foreach (var response in await Task.WhenAll(manifests))
            using (response)
            {
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
            }
        foreach (var response in await Task.WhenAll(blobs))
            using (response)
            {
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                Assert.Equal(other.Digest, await DigestOfAsync(response));
            }
        Assert.Equal(pulled.Manifest, await File.ReadAllBytesAsync(Path.Combine(await pull, "manifest.json"), Cancel));
        // One download for all that waited.
        Assert.Equal(other.Size, Hub.Log.BodyBytes(other.Digest));
        Assert.Single(
            Hub.Log.Requests,
            r => r.Asked == Asked.Manifest && r.Method == "GET" && r.Status == 200
                && r.Path.EndsWith(image.Digest.ToString(), StringComparison.Ordinal));
        await UntilHeldAsync(0);
    }

    [Fact]
    public async Task A_429_is_waited_for()
    {
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Script(r => r.Origin == "registry", Answer.TooManyRequests("2"), times: 1);
        var manifests = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Mirror.GetAsync(ManifestPath("latest"))));
        Assert.All(manifests, response => Assert.Equal(HttpStatusCode.OK, response.StatusCode));
        Assert.Single(Hub.Log.Requests, r => r.Status == 429);
    }

    [Fact]
    public async Task A_Retry_After_longer_than_the_hold_is_429_at_once()
    {
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Script(r => r.Origin == "registry", Answer.TooManyRequests("3600"), times: 1);
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.TooManyRequests, response);
        Assert.NotNull(response.Headers.RetryAfter);
    }

    [Fact]
    public async Task A_tag_that_upstream_lacks_is_404_at_once()
    {
        Hub.AddImage(Repository, "latest", Layer);
        using var response = await Mirror.GetAsync(ManifestPath("missing"));
        await AssertErrorAsync(HttpStatusCode.NotFound, response);
    }

    [Fact]
    public async Task When_the_hold_is_over_it_is_503_after_several_attempts()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, More = "  hold: 3s\n" });
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Script(r => r.Origin == "registry", Answer.Status(503));
        using var response = await mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        // Each attempt begins with a HEAD. A second attempt comes after two seconds, and a last one when the hold is over.
        Assert.InRange(Hub.Log.Requests.Count(r => r.Method == "HEAD"), 2, 3);
    }

    [Fact]
    public async Task A_hold_ends_when_the_client_disconnects_or_the_server_stops()
    {
        await Hub.Registry.TakeDownAsync();
        using var impatient = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var left = Http.Client.GetAsync(new Uri(Mirror.Url, $"/v2/{ManifestPath("latest")}"), impatient.Token);
        var stays = Mirror.GetAsync(BlobPath(Layer.Digest));
        await UntilHeldAsync(2);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        await UntilHeldAsync(1);

        Mirror.AskToStop();
        using var response = await stays;
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        Assert.Equal(0, await Mirror.EndedAsync());
    }

    [Fact]
    public async Task A_broken_download_is_resumed_when_upstream_is_back()
    {
        // Without the setting, the download ends after about 15 s.
        if (!Figures.Full)
            Assert.Skip("takes 25 s: with MIRROR_TESTS=full");
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(4, 1 << 20));
        Hub.Fault(blob.Digest, BlobFault.ClosedAt(1 << 19));
        using var refusing = Hub.Script(r => r.Origin == "registry" && r.Range is not null, Answer.Status(503));
        using var response = await Mirror.GetAsync(BlobPath(blob.Digest));
        var digest = DigestOfAsync(response);
        await Task.Delay(TimeSpan.FromSeconds(22), Cancel);
        refusing.Dispose();
        Assert.Equal(blob.Digest, await digest);
    }

    private Task UntilHeldAsync(int requests) =>
        Until.TrueAsync(
            async () => await Mirror.MetricAsync("mirror_held_requests") == requests,
            () => $"{requests} requests were never held:\n{string.Join('\n', Mirror.Log)}");
}
