using System.Net;
using Microsoft.AspNetCore.Http;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Something else than a registry answers at upstream's address: a proxy that has lost its route, or a website.</summary>
public sealed class RegistryCheckTests : MirrorOfHub
{
    private volatile bool _isLost;

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.AsksForTokens = false;
        return new() { Upstream = hub.Url, TagsCacheTtl = "0" };
    }

    [Theory]
    [InlineData("text/plain; charset=utf-8", "default backend - 404")]
    [InlineData("text/plain; charset=utf-8", "404 page not found\n")]
    [InlineData("text/html", "<html><head><title>404 Not Found</title></head></html>")]
    [InlineData("application/json", """{"message":"no Route matched with those values"}""")]
    public async Task A_proxy_without_a_route_to_the_registry_deletes_no_tag(string type, string body)
    {
        Hub.AddImage(Repository, "latest");
        await AssertPulledAsync(CacheAnswer.Miss);
        Hub.Script(_ => _isLost, Page(404, type, body));
        _isLost = true;

        await AssertPulledAsync(CacheAnswer.Stale);
        using (var head = await Mirror.HeadAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        foreach (var path in new[] { ManifestPath("another"), $"{Repository}/tags/list", BlobPath(HubBlob.Seeded(3, 10).Digest) })
            using (var missing = await Mirror.GetAsync(path))
                Assert.Equal(path.EndsWith("list", StringComparison.Ordinal) ? 200 : 503, (int)missing.StatusCode);
        await Mirror.UntilLoggedOnceAsync(line => line.Contains("level=error", StringComparison.Ordinal)
            && line.Contains("its /v2/ answers 404", StringComparison.Ordinal)
            && line.Contains("check proxy.remoteurl", StringComparison.Ordinal));
        Assert.Equal(0, await Mirror.MetricAsync("mirror_upstream_up"));

        // The tag is in the store, where the next process finds it.
        await Mirror.StopAsync();
        await Mirror.StartAgainAsync();
        await AssertPulledAsync(CacheAnswer.Stale);

        _isLost = false;
        await Until.TrueAsync(
            async () =>
            {
                using var back = await Mirror.GetAsync(ManifestPath("latest"));
                return CacheAnswer.Of(back) != CacheAnswer.Stale;
            },
            () => "The tag is served stale for ever.");
        Assert.Equal(1, await Mirror.MetricAsync("mirror_upstream_up"));
        using var none = await Mirror.GetAsync(ManifestPath("another"));
        await AssertErrorAsync(HttpStatusCode.NotFound, none);
    }

    [Fact]
    public async Task A_registry_may_word_a_404_as_it_likes()
    {
        Hub.AddImage(Repository, "latest");
        await AssertPulledAsync(CacheAnswer.Miss);
        Hub.Script(request => request.Asked == Asked.Manifest, Answer.Html(404));
        using (var deleted = await Mirror.GetAsync(ManifestPath("latest")))
            await AssertErrorAsync(HttpStatusCode.NotFound, deleted);
        using (var another = await Mirror.GetAsync(ManifestPath("another")))
            await AssertErrorAsync(HttpStatusCode.NotFound, another);
        Assert.Equal(1, Hub.Log.Count(Asked.Ping));
        Assert.DoesNotContain(Mirror.Log, line => line.Contains("cannot be used", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_upstream_that_has_no_root_has_missing_content_all_the_same()
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(
            request => request.Asked == Asked.Ping || request.Path.EndsWith("/missing", StringComparison.Ordinal), Answer.Html(404));
        using (var unsure = await Mirror.GetAsync(ManifestPath("missing")))
            await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, unsure);

        await AssertPulledAsync(CacheAnswer.Miss);

        using (var missing = await Mirror.GetAsync(ManifestPath("missing")))
            await AssertErrorAsync(HttpStatusCode.NotFound, missing);
        Assert.Equal(1, await Mirror.MetricAsync("mirror_upstream_up"));
    }

    [Fact]
    public async Task A_root_that_fails_for_a_moment_is_not_taken_for_one_that_does_not_exist()
    {
        Hub.AddImage(Repository, "latest");
        var isDown = false;
        Hub.Script(request => isDown && request.Asked == Asked.Ping, Answer.Html(502));
        Hub.Script(request => !isDown && request.Asked == Asked.Ping, Answer.Html(404));
        Hub.Script(request => _isLost || request.Path.EndsWith("/missing", StringComparison.Ordinal), Answer.Html(404));
        using (var unsure = await Mirror.GetAsync(ManifestPath("missing")))
            await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, unsure);
        isDown = true;
        await AssertPulledAsync(CacheAnswer.Miss);

        isDown = false;
        _isLost = true;
        await AssertPulledAsync(CacheAnswer.Stale);
    }

    [Theory]
    [InlineData(200)]
    [InlineData(404)]
    [InlineData(400)]
    public async Task A_remoteurl_that_names_a_website_has_a_line(int status)
    {
        Hub.Script(_ => true, Answer.Html(status));
        for (var i = 0; i < 3; i++)
            using (var response = await Mirror.GetAsync(ManifestPath($"v{i}")))
                await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        await Mirror.UntilLoggedOnceAsync(line => line.Contains("level=error", StringComparison.Ordinal)
            && line.Contains($"its /v2/ answers {status} and a web page, as no registry does", StringComparison.Ordinal)
            && line.Contains("check proxy.remoteurl", StringComparison.Ordinal));
        Assert.Equal(0, await Mirror.MetricAsync("mirror_upstream_up"));
    }

    [Fact]
    public async Task A_port_that_speaks_TLS_has_a_line_that_says_so()
    {
        Hub.Script(_ => true, Page(400, "text/plain", "Client sent an HTTP request to an HTTPS server.\n"));
        using (var response = await Mirror.GetAsync(ManifestPath("latest")))
            await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        await Mirror.UntilLoggedOnceAsync(line => line.Contains("level=error", StringComparison.Ordinal)
            && line.Contains("this port speaks TLS: write https:// in proxy.remoteurl", StringComparison.Ordinal));
    }

    private async Task AssertPulledAsync(string outcome)
    {
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(outcome, CacheAnswer.Of(response));
    }

    private static Answer Page(int status, string type, string body) => Answer.By(async context =>
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        if (!HttpMethods.IsHead(context.Request.Method))
            await context.Response.WriteAsync(body, context.RequestAborted);
    });
}
