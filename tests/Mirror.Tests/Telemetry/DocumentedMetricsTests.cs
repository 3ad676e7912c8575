using System.Text.RegularExpressions;
using Mirror.Tests.Notifications;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Telemetry;

/// <summary>The whole product at work, with Redis, notifications and a limit of the cache, and then one scrape.</summary>
public sealed partial class DocumentedMetricsTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_documented_metric_appears_in_a_scrape()
    {
        var documented = MetricName().Matches(await File.ReadAllTextAsync(Page, Cancel)).Select(match => match.Value).Distinct().ToList();
        Assert.True(documented.Count > 40, "The page lists too few metrics.");

        var scrape = await ScrapeAfterTrafficAsync();
        var samples = ExpositionFormat.Read(scrape);
        var scraped = samples.Keys.Select(sample => HistogramSuffix().Replace(sample.Split('{')[0], "")).ToHashSet();
        Assert.Empty(documented.Except(scraped));
        // And the other way round: no metric of ours that the page does not explain.
        Assert.Empty(scraped.Where(name => !name.StartsWith("dotnet_", StringComparison.Ordinal)).Except(documented));
    }

    [Fact]
    public async Task Promtool_has_no_complaint_but_about_names_that_are_not_ours()
    {
        Promtool.Availability.OrSkip();
        Assert.Equal(
            [
                // The runtime's own names.
                """dotnet_assembly_count non-histogram and non-summary metrics should not have "_count" suffix""",
                """dotnet_process_cpu_count non-histogram and non-summary metrics should not have "_count" suffix""",
                """dotnet_timer_count non-histogram and non-summary metrics should not have "_count" suffix""",
                // registry:3's name.
                """registry_notifications_pending_total non-counter metrics should not have "_total" suffix""",
            ],
            (await Promtool.CheckAsync(await ScrapeAfterTrafficAsync())).Order(StringComparer.Ordinal));
    }

    private static string Page
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(folder.FullName, "docs", "metrics.md")))
                folder = folder.Parent!;
            return Path.Combine(folder.FullName, "docs", "metrics.md");
        }
    }

    private static async Task<string> ScrapeAfterTrafficAsync()
    {
        MirrorProcess.Availability.OrSkip();
        RedisProcess.Availability.OrSkip();
        await using var redis = await RedisProcess.StartAsync();
        await using var receiver = new EventReceiver();
        await receiver.StartAsync();
        await using var hub = await ScriptedHub.StartAsync();
        var settings = new MirrorSettings
        {
            Upstream = hub.Url,
            Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MAX_SIZE"] = "1MiB", ["REGISTRY_HTTP_SECRET"] = "hush" },
            More = $$"""
                redis: {addr: "{{redis.Address}}", readtimeout: 1s}
                notifications: {endpoints: [{name: spy, url: "{{receiver.Url}}"}]}

                """,
        };
        await using var other = await MirrorProcess.StartAsync(settings);
        await using var mirror = await MirrorProcess.StartAsync(settings with { Root = other.Root });

        // What one replica learns, the other finds in Redis.
        var tag = 0;
        await Until.TrueAsync(
            async () =>
            {
                hub.AddImage("library/nginx", $"v{++tag}", HubBlob.Seeded(tag, 100));
                (await other.GetAsync($"library/nginx/manifests/v{tag}")).Dispose();
                (await mirror.GetAsync($"library/nginx/manifests/v{tag}")).Dispose();
                return await mirror.MetricAsync("registry_storage_cache_hits_total") > 0;
            },
            () => string.Join('\n', mirror.Log));
        var image = hub.AddImage("library/nginx", "latest", HubBlob.Seeded(1, 800_000), HubBlob.Seeded(2, 800_000));
        (await mirror.GetAsync("library/nginx/manifests/latest")).Dispose();
        foreach (var layer in image.Layers)
            using (var blob = await mirror.GetAsync($"library/nginx/blobs/{layer.Digest}"))
                Assert.Equal(layer.Size, (await blob.Content.ReadAsByteArrayAsync(Cancel)).Length);
        await new PushedRepository(mirror, "local/app").PushManifestAsync("1");
        await receiver.UntilAsync(1);
        await Until.TrueAsync(
            // From the first look at the cache's size on, whether or not a blob may be evicted yet.
            async () => (await mirror.MetricsAsync()).Contains("mirror_cache_evictions_total", StringComparison.Ordinal)
                && await mirror.MetricAsync("registry_notifications_status_total") > 0,
            () => string.Join('\n', mirror.Log));
        return await mirror.MetricsAsync();
    }

    [GeneratedRegex("(?<=^\\| `)(registry|mirror|process)_[a-z_]+(?=`)", RegexOptions.Multiline)]
    private static partial Regex MetricName();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex HistogramSuffix();
}
