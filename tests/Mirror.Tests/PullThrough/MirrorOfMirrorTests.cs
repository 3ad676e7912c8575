using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>A mirror whose upstream is a mirror: what the first one could not check is not checked for clients of the second one.</summary>
public sealed class MirrorOfMirrorTests : IAsyncLifetime
{
    private const string Name = "acme/app";
    private const string Subject = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    private readonly OrdinaryUpstream _upstream = new();
    private MirrorProcess _first = null!;
    private MirrorProcess _second = null!;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _first = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = _upstream.Url, TagsCacheTtl = "0" });
        _second = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = _first.Url, TagsCacheTtl = "1h" });
    }

    public async ValueTask DisposeAsync()
    {
        await _second.DisposeAsync();
        await _first.DisposeAsync();
        _upstream.Dispose();
    }

    [Fact]
    public async Task What_the_first_mirror_serves_as_stale_is_stale_in_the_second_one_and_no_check()
    {
        var digest = Add("1");
        await AssertAsync(_first, "manifests/1", isStale: false);
        // At once, and without retries. The tag is served as stale then, as if upstream were away.
        Refuse("manifests/1", digest);

        foreach (var _ in new[] { 1, 2 })
        {
            await AssertAsync(_second, "manifests/1", isStale: true, digest);
            using var head = await _second.HeadAsync($"{Name}/manifests/1");
            Assert.Equal("stale", Assert.Single(head.Headers.GetValues("X-Cache")));
        }
        Assert.Equal(1, await _second.MetricAsync("mirror_upstream_up"));

        var moved = Add("2");
        await AssertAsync(_second, "manifests/1", isStale: false, moved);
        // Now it was checked.
        Refuse("manifests/1", moved);
        await AssertAsync(_second, "manifests/1", isStale: false, moved);
        // The stored tag has moved with the stale answers, and with the others.
        await _first.StopAsync();
        await AssertAsync(_second, "manifests/1", isStale: false, moved);
    }

    [Fact]
    public async Task A_stale_tag_is_stored_for_the_time_without_the_first_mirror()
    {
        var digest = Add("1");
        await AssertAsync(_first, "manifests/1", isStale: false);
        Refuse("manifests/1", digest);
        await AssertAsync(_second, "manifests/1", isStale: true, digest);
        await _first.StopAsync();
        await AssertAsync(_second, "manifests/1", isStale: true, digest);
    }

    [Fact]
    public async Task Stale_lists_are_stale_too_and_no_check()
    {
        Add("1");
        await AssertAsync(_first, "manifests/1", isStale: false);
        foreach (var path in new[] { "tags/list", $"referrers/{Subject}" })
            _upstream.Answer("GET", $"{Name}/{path}", 403, "{}"u8.ToArray());
        foreach (var _ in new[] { 1, 2 })
        {
            await AssertAsync(_second, "tags/list", isStale: true);
            await AssertAsync(_second, $"referrers/{Subject}", isStale: true);
        }
        _upstream.Answer("GET", $"{Name}/tags/list", 200, """{"name":"acme/app","tags":["1","2"]}"""u8.ToArray());
        await AssertAsync(_second, "tags/list", isStale: false);
    }

    // Only the word of a mirror such as this one counts. CDNs send the same header.
    [Theory]
    [InlineData("HIT")]
    [InlineData("STALE")]
    [InlineData("stale, HIT")]
    [InlineData("stale from cache.example")]
    public async Task What_a_CDN_says_of_its_cache_changes_nothing(string cache)
    {
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(
                method, $"{Name}/manifests/3", 200, Document("3"), ("Content-Type", MediaTypes.OciManifest),
                ("Docker-Content-Digest", Digest.Of(Document("3")).ToString()), ("X-Cache", cache));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = _upstream.Url, TagsCacheTtl = "1h" });
        await AssertAsync(mirror, "manifests/3", isStale: false);
        using var hit = await mirror.GetAsync($"{Name}/manifests/3");
        Assert.Equal("hit", Assert.Single(hit.Headers.GetValues("X-Cache")));
    }

    private static byte[] Document(string version) => System.Text.Encoding.UTF8.GetBytes($$$"""
        {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[],"annotations":{"v":"{{{version}}}"}}
        """);

    private Digest Add(string version) =>
        _upstream.AddManifest(Name, "1", System.Text.Encoding.UTF8.GetString(Document(version)), MediaTypes.OciManifest);

    private void Refuse(string path, Digest digest)
    {
        foreach (var method in new[] { "GET", "HEAD" })
            foreach (var each in new[] { path, $"manifests/{digest}" })
                _upstream.Answer(method, $"{Name}/{each}", 403, "{}"u8.ToArray());
    }

    private static async Task AssertAsync(MirrorProcess mirror, string path, bool isStale, Digest? digest = null)
    {
        using var response = await mirror.GetAsync($"{Name}/{path}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(isStale, response.Headers.GetValues("X-Cache").Single() == "stale");
        Assert.Equal(isStale, response.Headers.Contains("Warning"));
        if (digest is not null)
            Assert.Equal(digest, Digest.Of(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)));
    }
}
