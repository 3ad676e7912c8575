using System.Diagnostics;
using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Upstream is away, in several ways: stored content is served, by tag and by digest.</summary>
public sealed class OutageTests : MirrorOfHub
{
    // Not for two minutes, so that the metrics soon tell that upstream is silent.
    protected override MirrorSettings Settings(ScriptedHub hub) =>
        new() { Upstream = hub.Url, TagsCacheTtl = "0", More = "  response_timeout: 10s\n" };

    [Theory]
    [InlineData("refused")]
    [InlineData("black hole")]
    [InlineData("silent")]
    [InlineData("no such name")]
    [InlineData("TLS")]
    [InlineData("500")]
    [InlineData("502")]
    [InlineData("503")]
    [InlineData("429")]
    [InlineData("no token service")]
    [InlineData("no CDN")]
    public async Task Cached_images_can_be_pulled(string how)
    {
        var images = Enumerable.Range(0, 3).Select(i => Hub.AddImage(Repository, $"v{i}", HubBlob.Seeded(i, 20_000))).ToList();
        for (var i = 0; i < images.Count; i++)
            await PullAsync(Mirror, $"v{i}", images[i], []);
        foreach (var image in images)
            await Mirror.UntilStoredAsync(BlobPath(image.Layers[0].Digest));

        var here = Settings(Hub) with { Root = Mirror.Root };
        await using var elsewhere = how switch
        {
            "no such name" => await MirrorProcess.StartAsync(here with { Upstream = new("http://registry.invalid:5000") }),
            // A registry that speaks plain HTTP cannot answer a TLS handshake.
            "TLS" => await MirrorProcess.StartAsync(here with { Upstream = new($"https://{Hub.Registry.Authority}") }),
            _ => null,
        };
        using var hole = how == "black hole" ? await BlackHoleAsync() : null;
        await BreakAsync(how);

        var mirror = elsewhere ?? Mirror;
        List<TimeSpan> before = [], after = [];
        var stale = 0;
        for (var round = 0; round < Figures.Count(10, 200); round++)
            for (var i = 0; i < images.Count; i++)
                stale += await PullAsync(mirror, $"v{i}", images[i], round < 2 ? before : after);
        if (how != "no CDN")
        {
            Assert.Equal(2 * images.Count * Figures.Count(10, 200), stale);
            await Until.TrueAsync(
                async () => await mirror.MetricAsync("mirror_answers_total", ("type", "manifest"), ("outcome", "stale")) == stale
                    && mirror.Log.Any(line => line.Contains("cache=stale", StringComparison.Ordinal)),
                () => "Metrics or log do not tell what was served stale.");
        }
        // The registry itself answers when it sends 429, or when only its token service or its CDN is away.
        var isUp = how is "429" or "no token service" or "no CDN";
        await Until.TrueAsync(
            async () => await mirror.MetricAsync("mirror_upstream_up") == (isUp ? 1 : 0),
            () => "The metrics do not tell whether upstream is up.");
        Figures.Report(
            $"upstream down, {how}: {before.Count + after.Count} requests, all right; "
            + $"p99 at first {Figures.Milliseconds(before, .99)}, then {Figures.Milliseconds(after, .99)}");
    }

    [Fact]
    public async Task A_stored_copy_is_served_while_upstream_is_slow()
    {
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (await Mirror.GetAsync(ManifestPath("latest")))
            Hub.Log.Clear();
        var gate = new Gate();
        using var held = Hub.Script(Asked.Manifest, Answer.HeldBy(gate));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(response));
        Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        // The request to upstream is still open: the client did not wait for it to time out.
        Assert.Equal(0, Assert.Single(Hub.Log.Requests).Status);
        gate.Open();
    }

    [Fact]
    public async Task Tags_are_checked_again_when_upstream_is_back()
    {
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (await Mirror.GetAsync(ManifestPath("latest")))
            await Hub.Registry.TakeDownAsync();
        for (var i = 0; i < 5; i++)
            using (var stale = await Mirror.GetAsync(ManifestPath("latest")))
                Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(stale));
        await Hub.Registry.BringUpAsync();
        var moved = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 1000));
        await Until.TrueAsync(
            async () =>
            {
                using var now = await Mirror.GetAsync(ManifestPath("latest"));
                var bytes = await now.Content.ReadAsByteArrayAsync(Cancel);
                return CacheAnswer.Of(now) != CacheAnswer.Stale && bytes.AsSpan().SequenceEqual(moved.Bytes);
            },
            () => "The tag is served stale for ever.");
    }

    [Fact]
    public async Task The_mirror_starts_while_upstream_is_down()
    {
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        await PullAsync(Mirror, "latest", image, []);
        foreach (var blob in image.Layers.Append(image.Config))
            await Mirror.UntilStoredAsync(BlobPath(blob.Digest));
        await Hub.Registry.TakeDownAsync();
        await Hub.Token.TakeDownAsync();
        await Mirror.KillAsync();
        await Mirror.StartAgainAsync();
        Assert.Equal(2, await PullAsync(Mirror, "latest", image, []));
    }

    /// <summary>Pulls as a client does: HEAD and GET by tag, GET by digest, then each blob.</summary>
    /// <returns>How many responses were marked as stale.</returns>
    private static async Task<int> PullAsync(MirrorProcess mirror, string tag, HubImage image, List<TimeSpan> times)
    {
        var stale = 0;
        using (var head = await TimedAsync(() => mirror.HeadAsync(ManifestPath(tag))))
            stale += Stale(head);
        using (var byTag = await TimedAsync(() => mirror.GetAsync(ManifestPath(tag))))
        {
            stale += Stale(byTag);
            Assert.Equal(image.Bytes, await byTag.Content.ReadAsByteArrayAsync(Cancel));
        }
        using (var byDigest = await TimedAsync(() => mirror.GetAsync(ManifestPath(image.Digest))))
            Assert.Equal(image.Bytes, await byDigest.Content.ReadAsByteArrayAsync(Cancel));
        foreach (var blob in image.Layers.Append(image.Config))
            using (var response = await TimedAsync(() => mirror.GetAsync(BlobPath(blob.Digest))))
                Assert.Equal(blob.Digest, await DigestOfAsync(response));
        return stale;

        async Task<HttpResponseMessage> TimedAsync(Func<Task<HttpResponseMessage>> ask)
        {
            var started = Stopwatch.GetTimestamp();
            var response = await ask();
            times.Add(Stopwatch.GetElapsedTime(started));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            return response;
        }

        static int Stale(HttpResponseMessage response)
        {
            var isStale = CacheAnswer.Of(response) == CacheAnswer.Stale;
            Assert.Equal(isStale, response.Headers.Warning.Count > 0);
            return isStale ? 1 : 0;
        }
    }

    private async Task<BlackHole> BlackHoleAsync()
    {
        await Hub.Registry.TakeDownAsync();
        return new BlackHole(Hub.Registry.Url);
    }

    private async Task BreakAsync(string how)
    {
        switch (how)
        {
            case "refused":
                await Hub.Registry.TakeDownAsync();
                break;
            case "silent":
                Hub.Script(r => r.Origin == "registry", Answer.HeldBy(new Gate()));
                break;
            case "429":
                Hub.Script(r => r.Origin == "registry", Answer.TooManyRequests());
                break;
            case "500" or "502" or "503":
                Hub.Script(r => r.Origin == "registry", Answer.Html(int.Parse(how, null)));
                break;
            case "no token service":
                Hub.RevokeTokens();
                await Hub.Token.TakeDownAsync();
                break;
            case "no CDN":
                await Hub.Cdn.TakeDownAsync();
                break;
        }
    }
}
