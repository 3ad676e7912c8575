using System.Net;
using System.Threading.RateLimiting;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Upstreams that take so many requests a second, and say 429 to the others.</summary>
public sealed class PacingTests : MirrorOfHub
{
    [Fact]
    public async Task With_requests_per_second_many_pulls_at_once_succeed_at_an_upstream_that_allows_no_more()
    {
        var (pulls, perSecond) = Figures.Full ? (60, 1) : (15, 5);
        await using var limit = new TokenBucketRateLimiter(new()
        {
            TokenLimit = 1,
            TokensPerPeriod = 1,
            ReplenishmentPeriod = TimeSpan.FromSeconds(1.0 / perSecond),
            QueueLimit = 0,
        });
        using var script = Hub.Script(
            request => request.Origin == "registry" && !limit.AttemptAcquire().IsAcquired, Answer.TooManyRequests());
        await using var mirror = await StartAsync($"  requests_per_second: {perSecond}\n");
        for (var i = 0; i < pulls; i++)
            Hub.AddImage($"acme/app{i}", "latest", HubBlob.Seeded((byte)i, 1000));

        var answers = await Task.WhenAll(
            Enumerable.Range(0, pulls).Select(i => mirror.GetAsync(ManifestPath("latest", $"acme/app{i}"))));
        foreach (var answer in answers)
            using (answer)
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task A_request_waits_for_its_turn_no_longer_than_for_an_answer()
    {
        await using var mirror = await StartAsync("  requests_per_second: 1\n  response_timeout: 3s\n");
        Hub.AddImage("acme/app", "latest", HubBlob.Seeded(1, 1000));
        var answers = await Task.WhenAll(
            Enumerable.Range(0, 40).Select(i => mirror.GetAsync(ManifestPath($"none{i}", "acme/app"))));
        var statuses = answers.Select(answer => answer.StatusCode).ToList();
        foreach (var answer in answers)
            answer.Dispose();
        Assert.Contains(HttpStatusCode.ServiceUnavailable, statuses);
        using (var next = await mirror.GetAsync(ManifestPath("latest", "acme/app")))
            Assert.Equal(HttpStatusCode.OK, next.StatusCode);
        await mirror.UntilLoggedAsync(line => line.Contains("requests_per_second", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_429_that_tells_nothing_is_waited_out()
    {
        await using var mirror = await StartAsync("");
        var layer = HubBlob.Seeded(1, 1000);
        Hub.AddImage(Repository, "latest", layer);
        using (Hub.Script(request => request.Origin == "registry", Answer.TooManyRequests(), times: 1))
        using (var manifest = await mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        using (Hub.Script(request => request.Origin == "registry", Answer.TooManyRequests(), times: 2))
        using (var blob = await mirror.GetAsync(BlobPath(layer.Digest)))
            Assert.Equal(layer.Digest, await DigestOfAsync(blob));
    }

    [Theory]
    [InlineData("  wait_limited: 0\n", null)]
    [InlineData("", "20")]
    public async Task A_429_is_passed_on_where_the_wait_is_longer_than_wait_limited(string settings, string? retryAfter)
    {
        await using var mirror = await StartAsync(settings);
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (Hub.Script(request => request.Origin == "registry", Answer.TooManyRequests(retryAfter)))
        using (var response = await mirror.GetAsync(ManifestPath("latest")))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
            Assert.NotNull(response.Headers.RetryAfter);
        }
        Assert.Equal(1, Hub.Log.Requests.Count(request => request.Status == 429));
    }

    [Theory]
    [InlineData("registry", "1", "")]
    [InlineData("registry", null, "")]
    [InlineData("cdn", "1", "")]
    [InlineData("registry", "1", "  parallel_ranges: 2\n")]
    public async Task A_429_in_the_middle_of_a_download_is_waited_out(string origin, string? retryAfter, string settings)
    {
        await using var mirror = await StartAsync(settings);
        var blob = await CutAsync(mirror, 9 << 20);
        using var script = Hub.Script(request => IsForRest(request, origin), Answer.TooManyRequests(retryAfter), times: 1);
        using (var response = await mirror.GetAsync(BlobPath(blob.Digest)))
            Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.Equal(1, Hub.Log.Requests.Count(request => request.Status == 429));
        // A range that was requested ahead may come twice.
        if (settings.Length == 0)
            Assert.Equal(blob.Size, Hub.Log.BodyBytes(blob.Digest));
    }

    [Theory]
    [InlineData("registry", "20", "")]
    [InlineData("registry", null, "  wait_limited: 1s\n")]
    [InlineData("cdn", null, "")]
    [InlineData("cdn", "1", "  wait_limited: 1s\n")]
    public async Task A_429_that_lasts_ends_a_download_and_the_next_request_resumes_it(string origin, string? retryAfter, string settings)
    {
        await using var mirror = await StartAsync(settings);
        var blob = await CutAsync(mirror, 400_000);
        using (Hub.Script(request => IsForRest(request, origin), Answer.TooManyRequests(retryAfter)))
        using (var response = await mirror.GetAsync(BlobPath(blob.Digest)))
            await Assert.ThrowsAnyAsync<IOException>(() => DigestOfAsync(response));
        if (origin == "registry")
            return;
        using (var again = await mirror.GetAsync(BlobPath(blob.Digest)))
            Assert.Equal(blob.Digest, await DigestOfAsync(again));
        Assert.Equal(blob.Size, Hub.Log.BodyBytes(blob.Digest));
    }

    [Fact]
    public async Task A_client_whose_range_far_ahead_gets_429_in_its_middle_waits_for_the_download()
    {
        const int mib = 1 << 20;
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, 64 * mib));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(mib, gate));
        using var whole = await Mirror.GetAsync(BlobPath(blob.Digest));
        await gate.Reached;
        Hub.Fault(blob.Digest, BlobFault.ShortAt(61 * mib));
        using (Hub.Script(
            request => IsForRest(request, "registry") && request.Range != $"bytes={60 * mib}-{62 * mib - 1}", Answer.TooManyRequests("60")))
        {
            using var range = await Mirror.GetAsync(BlobPath(blob.Digest), ("Range", $"bytes={60 * mib}-{62 * mib - 1}"));
            var reading = range.Content.ReadAsByteArrayAsync(Cancel);
            await Until.TrueAsync(
                () => Hub.Log.Requests.Any(request => request.Status == 429), () => "Upstream was not asked for the rest of the range.");
            gate.Open();
            Assert.Equal(blob.Slice(60 * mib, 62 * mib), await reading);
        }
        Assert.Equal(blob.Digest, await DigestOfAsync(whole));
    }

    // A layer whose first answer ends cleanly before its end, so that no byte is lost on the way.
    private async Task<HubBlob> CutAsync(MirrorProcess mirror, int size)
    {
        var layer = HubBlob.Seeded(1, size);
        Hub.AddImage(Repository, "latest", layer);
        Hub.Fault(layer.Digest, BlobFault.ShortAt(size / 3));
        using (var manifest = await mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        return layer;
    }

    private static bool IsForRest(HubRequest request, string origin) => request.Origin == origin
        && request.Range is { } range && !range.StartsWith("bytes=0-", StringComparison.Ordinal);

    private Task<MirrorProcess> StartAsync(string proxy) =>
        MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, More = proxy });
}
