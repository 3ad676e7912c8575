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
        var (pulls, perSecond) = Environment.GetEnvironmentVariable("MIRROR_TESTS") == "full" ? (60, 1) : (30, 5);
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

    private Task<MirrorProcess> StartAsync(string proxy) =>
        MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, More = proxy });
}
