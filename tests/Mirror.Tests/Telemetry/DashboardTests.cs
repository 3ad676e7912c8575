using System.Text.Json;
using System.Text.RegularExpressions;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;
using YamlDotNet.Serialization;

namespace Mirror.Tests.Telemetry;

/// <summary>The dashboard and the alerts of <c>deploy/</c>, asked of a real Prometheus that scrapes a mirror at work.</summary>
public sealed partial class DashboardTests : MirrorOfHub
{
    private static readonly string Deploy = Path.Combine(MirrorProcess.Repository, "deploy");

    // Their trouble is played below; the others are played by promtool only, since they need hours or a full disk.
    private static readonly string[] Played =
        ["MirrorReplicaMissing", "MirrorUpstreamAway", "MirrorBudgetNearlyGone", "MirrorErrors", "MirrorDownloadsFailing"];

    private int _round;

    protected override async Task<ScriptedHub> StartHubAsync()
    {
        var hub = await ScriptedHub.StartAsync();
        hub.PullLimit = 10_000;
        return hub;
    }

    protected override MirrorSettings Settings(ScriptedHub hub) => new()
    {
        Upstream = hub.Url,
        TagsCacheTtl = "0",
        Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MAX_SIZE"] = "1MiB", ["REGISTRY_PROXY_WAIT_LIMITED"] = "0s" },
    };

    [Theory]
    [InlineData("check", "rules.yml")]
    [InlineData("test", "rules.test.yml")]
    public async Task Promtool_accepts_the_rules_and_their_tests(string verb, string file)
    {
        Prometheus.Availability.OrSkip();
        await PeerProcess.RunAsync("promtool", [verb, "rules", Path.Combine(Deploy, "prometheus", file)]);
    }

    [Fact]
    public async Task Every_alert_has_a_test_in_which_it_fires_and_a_line_in_the_documentation()
    {
        var page = await File.ReadAllTextAsync(Path.Combine(MirrorProcess.Repository, "docs", "metrics.md"), Cancel);
        Assert.All(Alerts().Keys, alert => Assert.Contains($"| `{alert}` |", page, StringComparison.Ordinal));
        var test = await File.ReadAllTextAsync(Path.Combine(Deploy, "prometheus", "rules.test.yml"), Cancel);
        Assert.All(Alerts().Keys, alert => Assert.Matches($@"alertname: {alert}\n +eval_time: .*\n +exp_alerts:\n", test));
    }

    [Fact]
    public async Task Every_query_has_a_result_of_a_mirror_that_has_worked_and_the_alerts_see_its_troubles()
    {
        Prometheus.Availability.OrSkip();
        await using var prometheus = await Prometheus.StartAsync(Mirror.Debug.Authority, $"127.0.0.1:{Ports.Free()}");
        var alerts = Alerts();
        var questions = Panels().Concat(alerts.Where(alert => !Played.Contains(alert.Key)).Select(alert => WithoutComparison(alert.Value)))
            .ToList();
        Assert.True(questions.Count > 50, "The dashboard has too few queries.");

        // Twice and more: a rate needs two scrapes, and work between them.
        await Until.TrueAsync(
            async () =>
            {
                await WorkAsync();
                questions = await WithoutResultAsync(prometheus, questions);
                return questions.Count == 0;
            },
            () => $"These give no number:\n{string.Join('\n', questions)}\n{string.Join('\n', Mirror.Log.TakeLast(50))}");

        // The budget is used up, which the answer to a HEAD says. Then upstream goes away.
        Hub.PullLimit = Hub.Pulls;
        await PullAsync(ManifestPath("latest"));
        await Hub.Registry.TakeDownAsync();
        var quiet = Played.ToList();
        await Until.TrueAsync(
            async () =>
            {
                await PullAsync(ManifestPath("latest"));
                await PullAsync(ManifestPath("unknown"));
                foreach (var alert in quiet.ToList())
                    if ((await prometheus.QueryAsync(alerts[alert])).Count > 0)
                        quiet.Remove(alert);
                return quiet.Count == 0;
            },
            () => $"These alerts do not see the trouble: {string.Join(", ", quiet)}\n{string.Join('\n', Mirror.Log.TakeLast(50))}");
        Assert.True((await prometheus.QueryAsync("mirror_stale_age_seconds > 0")).Count > 0, "The stale answer is not measured.");
        Assert.Empty(await Promtool.CheckAsync(await Mirror.MetricsAsync()));
    }

    [Fact]
    public async Task What_was_saved_is_what_clients_got_without_upstream_sending_it()
    {
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 5000));
        await PullAsync(ManifestPath("latest"));
        await PullAsync(ManifestPath("latest"));
        await PullAsync(ManifestPath(image.Digest));
        (await Mirror.HeadAsync(ManifestPath(image.Digest))).Dispose();
        var (blob, gate) = (image.Layers[0], new Gate());
        Hub.Fault(blob.Digest, BlobFault.StalledAt(1000, gate));
        using (var first = await Mirror.GetAsync(BlobPath(blob.Digest)))
        using (var joined = await Mirror.GetAsync(BlobPath(blob.Digest)))
        {
            gate.Open();
            await DigestOfAsync(first);
            await DigestOfAsync(joined);
        }

        await Until.TrueAsync(
            async () => await Mirror.MetricAsync("mirror_answers_total") == 6, () => string.Join('\n', Mirror.Log));
        Assert.Equal(2, await Mirror.MetricAsync("mirror_saved_pulls_total"));
        Assert.Equal(2 * image.Bytes.Length, await Mirror.MetricAsync("mirror_saved_bytes_total", ("type", "manifest")));
        Assert.Equal(5000, await Mirror.MetricAsync("mirror_saved_bytes_total", ("type", "blob")));
    }

    /// <summary>Misses, hits, many clients at one download, a download that fails, a limit, and more than the cache may hold.</summary>
    private async Task WorkAsync()
    {
        var round = ++_round;
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2 * round, 400_000));
        await PullAsync(ManifestPath("latest"));
        await PullAsync(ManifestPath("latest"));
        var (blob, gate) = (image.Layers[0], new Gate());
        Hub.Fault(blob.Digest, BlobFault.StalledAt(1000, gate));
        using (var first = await Mirror.GetAsync(BlobPath(blob.Digest)))
        using (var second = await Mirror.GetAsync(BlobPath(blob.Digest)))
        {
            gate.Open();
            await DigestOfAsync(first);
            await DigestOfAsync(second);
        }
        await PullAsync(BlobPath(blob.Digest));
        var damaged = Hub.AddBlob(Repository, HubBlob.Seeded(2 * round + 1, 5000));
        Hub.Fault(damaged.Digest, BlobFault.WrongByteAt(1000), times: 10);
        await PullAsync(BlobPath(damaged.Digest));
        if (round > 1)
            return;
        using (Hub.Script(Asked.Manifest, Answer.TooManyRequests("1")))
            await PullAsync(ManifestPath("latest"));
    }

    private async Task PullAsync(string path)
    {
        using var response = await Mirror.GetAsync(path);
        try
        {
            await response.Content.ReadAsByteArrayAsync(Cancel);
        }
        catch (HttpRequestException)
        {
            // The mirror breaks off what does not have its digest.
        }
    }

    private static async Task<List<string>> WithoutResultAsync(Prometheus prometheus, IEnumerable<string> queries)
    {
        List<string> without = [];
        foreach (var query in queries)
            if (!(await prometheus.QueryAsync(query)).Any(double.IsFinite))
                without.Add(query);
        return without;
    }

    // The queries of the panels, as Grafana fills them in.
    private static IEnumerable<string> Panels()
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Deploy, "grafana", "mirror.json")));
        return [.. dashboard.RootElement.GetProperty("panels").EnumerateArray()
            .SelectMany(panel => panel.TryGetProperty("targets", out var targets) ? targets.EnumerateArray().ToArray() : [])
            .Select(target => target.GetProperty("expr").GetString()!
                .Replace("$__rate_interval", "1m", StringComparison.Ordinal).Replace("$__range", "1m", StringComparison.Ordinal)
                .Replace("$job", "mirror", StringComparison.Ordinal).Replace("$instance", ".*", StringComparison.Ordinal))];
    }

    private static Dictionary<string, string> Alerts()
    {
        var file = new DeserializerBuilder().IgnoreUnmatchedProperties().Build()
            .Deserialize<Dictionary<string, List<Dictionary<string, object>>>>(
                File.ReadAllText(Path.Combine(Deploy, "prometheus", "rules.yml")));
        return file["groups"].SelectMany(group => (List<object>)group["rules"]).Cast<Dictionary<object, object>>()
            .ToDictionary(rule => (string)rule["alert"], rule => (string)rule["expr"]);
    }

    // An alert without its comparisons has a result whether or not there is trouble.
    private static string WithoutComparison(string alert) =>
        Comparison().Replace(alert, "").Replace("absent(", "count(", StringComparison.Ordinal);

    [GeneratedRegex(@" (<|>|==) [0-9.]+(?=$|\s|\))")]
    private static partial Regex Comparison();
}
