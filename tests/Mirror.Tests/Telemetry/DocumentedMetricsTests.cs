using System.Text.RegularExpressions;
using Mirror.Tests.Admin;
using Mirror.Tests.Notifications;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Telemetry;

/// <summary>The whole product at work, with Redis, notifications and a limit of the cache, and then one scrape.</summary>
public sealed partial class DocumentedMetricsTests
{
    // Of http.tls.letsencrypt, for which there must be an authority: Certificates/LetsEncryptTests reads it.
    private static readonly string[] OfObtainedCertificates = ["mirror_tls_certificate_end_timestamp_seconds"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_documented_metric_appears_in_a_scrape()
    {
        var documented = MetricName().Matches(await File.ReadAllTextAsync(Page, Cancel)).Select(match => match.Value).Distinct().ToList();
        Assert.True(documented.Count > 40, "The page lists too few metrics.");

        var scrape = await ScrapeAfterTrafficAsync();
        var samples = ExpositionFormat.Read(scrape);
        var scraped = samples.Keys.Select(sample => HistogramSuffix().Replace(sample.Split('{')[0], "")).ToHashSet();
        Assert.Empty(documented.Except(scraped).Except(OfObtainedCertificates));
        // And the other way round: no metric of ours that the page does not explain.
        Assert.Empty(scraped.Where(name => !name.StartsWith("dotnet_", StringComparison.Ordinal)).Except(documented));
    }

    [Fact]
    public async Task Promtool_has_no_complaint_but_about_a_name_of_registry_3()
    {
        Promtool.Availability.OrSkip();
        var scrape = await ScrapeAfterTrafficAsync();
        // Promtool does not see that a counter may fall.
        Assert.DoesNotContain(scrape.Split('\n'), line => CounterThatFalls().IsMatch(line));
        Assert.Equal(
            [
                // registry:3's name.
                """registry_notifications_pending_total non-counter metrics should not have "_total" suffix""",
            ],
            (await Promtool.CheckAsync(scrape)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task The_recommended_share_counts_a_crowd_that_shares_one_download_as_served_by_the_cache()
    {
        Promtool.Availability.OrSkip();
        MirrorProcess.Availability.OrSkip();
        const int Clients = 50;
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(hub.Url);
        var (blob, gate) = (hub.AddBlob("library/nginx", HubBlob.Seeded(1, 5000)), new Gate());
        hub.Fault(blob.Digest, BlobFault.StalledAt(1000, gate));
        List<HttpResponseMessage> crowd = [];
        for (var i = 0; i < Clients; i++)
            crowd.Add(await mirror.GetAsync($"library/nginx/blobs/{blob.Digest}"));
        gate.Open();
        foreach (var client in crowd)
            using (client)
                await client.Content.ReadAsByteArrayAsync(Cancel);
        await Until.TrueAsync(async () => await mirror.MetricAsync("mirror_answers_total") == Clients, () => string.Join('\n', mirror.Log));
        var scrape = ExpositionFormat.Read(await mirror.MetricsAsync());

        var queries = ShareQuery().Matches(await File.ReadAllTextAsync(Page, Cancel)).Select(match => match.Value).ToList();
        Assert.NotEmpty(queries);
        foreach (var query in queries)
            Assert.Equal("", await Promtool.EvaluateAsync($"round({query}, 0.001)", scrape, (Clients - 1.0) / Clients));
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
        // The first question about the images ends the wait for their index.
        await mirror.ImagesAsync(list => list.Length > 0);
        await Until.TrueAsync(
            // From the first look at the cache's size on.
            async () => (await mirror.MetricsAsync()).Contains("mirror_cache_limit_bytes", StringComparison.Ordinal)
                && (await mirror.MetricsAsync()).Contains("mirror_image_bytes", StringComparison.Ordinal)
                && await mirror.MetricAsync("registry_notifications_status_total") > 0,
            () => string.Join('\n', mirror.Log));
        return await mirror.MetricsAsync();
    }

    [GeneratedRegex("(?<=^\\| `)(registry|mirror|process)_[a-z_]+(?=`)", RegexOptions.Multiline)]
    private static partial Regex MetricName();

    // A query for a share of the answers, in one line.
    [GeneratedRegex("^sum\\(rate\\((mirror_answers|registry_proxy_(hits|misses))_total.* / .*$", RegexOptions.Multiline)]
    private static partial Regex ShareQuery();

    [GeneratedRegex("^# TYPE [a-z_]+_(queue_length|thread_count|pending|running|in_flight)[a-z_]* counter$")]
    private static partial Regex CounterThatFalls();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex HistogramSuffix();
}
