using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Mirror.Tests.Web;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary><c>keep_deleted</c> and <c>cooldown</c>: tags that go on naming what they named.</summary>
public sealed class HeldTagTests : MirrorOfHub
{
    private const string TtlZero = "  tags_cache_ttl: 0\n";

    [Theory]
    [InlineData("forever", true)]
    [InlineData("30d", true)]
    [InlineData("never", false)]
    public async Task A_tag_that_upstream_has_deleted_is_served_and_marked_as_long_as_keep_deleted_says(string keep, bool isKept)
    {
        await using var mirror = await StartAsync($"  policies: [{{match: library/*, keep_deleted: {keep}}}]\n");
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (await mirror.GetAsync(ManifestPath("latest")))
            Hub.DeleteTag(Repository, "latest");
        foreach (var restart in new[] { false, true })
        {
            if (restart)
            {
                await mirror.StopAsync();
                await mirror.StartAgainAsync();
            }
            using var response = await mirror.GetAsync(ManifestPath("latest"));
            Assert.Equal(isKept ? HttpStatusCode.OK : HttpStatusCode.NotFound, response.StatusCode);
            if (!isKept)
                continue;
            Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
            var warning = Assert.Single(response.Headers.GetValues("Warning"));
            Assert.Contains("held: upstream has deleted the tag", warning, StringComparison.Ordinal);
        }

        var again = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 1000));
        using var returned = await mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(again.Bytes, await returned.Content.ReadAsByteArrayAsync(Cancel));
        Assert.False(returned.Headers.Contains("Warning"));
    }

    [Fact]
    public async Task A_tag_that_moves_names_the_old_manifest_until_the_new_one_has_been_known_for_the_cooldown()
    {
        await using var mirror = await StartAsync("  policies: [{match: library/*, cooldown: 72h}]\n");
        var old = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (await mirror.GetAsync(ManifestPath("latest")))
        {
        }
        var now = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 1000));
        using (var held = await mirror.GetAsync(ManifestPath("latest")))
        {
            Assert.Equal(old.Bytes, await held.Content.ReadAsByteArrayAsync(Cancel));
            var warning = Assert.Single(held.Headers.GetValues("Warning"));
            Assert.Contains($"held: upstream has moved the tag to {now.Digest}", warning, StringComparison.Ordinal);
        }
        using (var head = await mirror.HeadAsync(ManifestPath("latest")))
            Assert.Equal(old.Digest.ToString(), Assert.Single(head.Headers.GetValues("Docker-Content-Digest")));
        // A client that names the digest gets it, and that moves no tag.
        using (var byDigest = await mirror.GetAsync(ManifestPath(now.Digest)))
            Assert.Equal(now.Bytes, await byDigest.Content.ReadAsByteArrayAsync(Cancel));
        using (var still = await mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(old.Bytes, await still.Content.ReadAsByteArrayAsync(Cancel));

        // Seen four days ago.
        var seen = Assert.Single(Directory.GetFiles(Dates(mirror), now.Digest.Hex, SearchOption.AllDirectories));
        await File.WriteAllTextAsync(seen, DateTimeOffset.UtcNow.AddDays(-4).ToString("O", CultureInfo.InvariantCulture), Cancel);
        using var moved = await mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(now.Bytes, await moved.Content.ReadAsByteArrayAsync(Cancel));
        Assert.False(moved.Headers.Contains("Warning"));
    }

    [Fact]
    public async Task A_tag_may_go_back_at_once_to_a_manifest_that_has_been_known_for_the_cooldown()
    {
        await using var mirror = await StartAsync("  policies: [{match: library/*, cooldown: 1h}]\n");
        var first = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (await mirror.GetAsync(ManifestPath("latest")))
        {
        }
        foreach (var date in Directory.GetFiles(Dates(mirror), "*", SearchOption.AllDirectories))
            await File.WriteAllTextAsync(date, DateTimeOffset.UtcNow.AddDays(-1).ToString("O", CultureInfo.InvariantCulture), Cancel);
        await mirror.ReloadAsync(settings => settings with { More = TtlZero });
        var second = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 1000));
        using (var moved = await mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(second.Bytes, await moved.Content.ReadAsByteArrayAsync(Cancel));
        await mirror.ReloadAsync(settings => settings with { More = TtlZero + "  policies: [{match: library/*, cooldown: 1h}]\n" });
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using var back = await mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(first.Bytes, await back.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Fact]
    public async Task A_released_manifest_is_served_at_once()
    {
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, TagsCacheTtl = "1s", More = "  policies: [{match: library/*, cooldown: 72h}]\n" });
        var old = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (await mirror.GetAsync(ManifestPath("latest")))
        {
        }
        var now = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 1000));
        await Until.TrueAsync(
            async () =>
            {
                using var held = await mirror.GetAsync(ManifestPath("latest"));
                Assert.Equal(old.Bytes, await held.Content.ReadAsByteArrayAsync(Cancel));
                return held.Headers.Contains("Warning");
            },
            () => string.Join('\n', mirror.Log));
        await mirror.ReloadAsync(settings => settings with { TagsCacheTtl = "1h" });
        using (var held = await mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(old.Bytes, await held.Content.ReadAsByteArrayAsync(Cancel));

        using (var browser = new Browser(mirror.Url))
            await Until.TrueAsync(
                async () => (await browser.PageAsync("images")).Contains(", cooling down", StringComparison.Ordinal),
                () => "The page of the images does not say it.");

        var (code, output) = await mirror.VerbAsync("release", $"{Repository}@{now.Digest}");

        Assert.True(code == 0, output);
        using var released = await mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(now.Bytes, await released.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Fact]
    public async Task A_new_tag_is_refused_during_the_cooldown_where_cooldown_new_says_so()
    {
        await using var mirror = await StartAsync(
            "  policies: [{match: library/*, cooldown: 72h, cooldown_new: hold}, {match: acme/*, cooldown: 72h}]\n");
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (var held = await mirror.GetAsync(ManifestPath("latest")))
        {
            Assert.Equal(HttpStatusCode.Forbidden, held.StatusCode);
            var error = (await held.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("errors")[0];
            Assert.Equal("DENIED", error.GetProperty("code").GetString());
            Assert.Contains("will not be served before 20", error.GetProperty("detail").GetString(), StringComparison.Ordinal);
        }
        Hub.AddImage("acme/app", "latest", HubBlob.Seeded(1, 1000));
        using var served = await mirror.GetAsync(ManifestPath("latest", "acme/app"));
        Assert.Equal(HttpStatusCode.OK, served.StatusCode);
    }

    private static string Dates(MirrorProcess mirror) => Path.Combine(mirror.Root, "mirror", "dates");

    private Task<MirrorProcess> StartAsync(string policies) =>
        MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, More = TtlZero + policies });
}
