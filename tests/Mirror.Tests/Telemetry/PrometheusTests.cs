using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Telemetry;

/// <summary>The metrics of a mirror at work, as Prometheus scrapes them.</summary>
public sealed class PrometheusTests : MirrorOfHub
{
    private static readonly string[] Outcomes = ["hit", "miss", "joined", "revalidated", "stale"];

    protected override MirrorSettings Settings(ScriptedHub hub) => new()
    {
        Upstream = hub.Url,
        TagsCacheTtl = "0",
        Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_NAME"] = "hub.example" },
        More = """
            notifications: {endpoints: [{name: "a\"b\\c\nd", url: "http://127.0.0.1:1/", threshold: 1, backoff: 1h}]}

            """,
    };

    [Fact]
    public async Task A_pull_moves_the_counters_registry_3_users_watch()
    {
        var (blob, gate) = (Hub.AddBlob(Repository, HubBlob.Seeded(1, 5000)), new Gate());
        Hub.Fault(blob.Digest, BlobFault.StalledAt(1000, gate));
        using (var response = await Mirror.GetAsync(BlobPath(blob.Digest)))
        {
            await UntilAsync("""registry_http_in_flight_requests{handler="blob"}""", 1);
            gate.Open();
            Assert.Equal(blob.Digest, await DigestOfAsync(response));
        }

        await UntilAsync("""registry_http_in_flight_requests{handler="blob"}""", 0);
        await UntilAsync("""registry_storage_action_seconds_count{action="Move",driver="filesystem"}""", 1);
        var samples = await ScrapeAsync();
        Assert.Equal(1, samples["""registry_proxy_requests_total{type="blob"}"""]);
        Assert.Equal(0, samples["""registry_proxy_hits_total{type="blob"}"""]);
        Assert.Equal(1, samples["""registry_proxy_misses_total{type="blob"}"""]);
        Assert.Equal(5000, samples["""registry_proxy_pulled_bytes_total{type="blob"}"""]);
        Assert.Equal(5000, samples["""registry_proxy_pushed_bytes_total{type="blob"}"""]);
        Assert.Equal(1, samples["""registry_http_requests_total{code="200",handler="blob",method="get"}"""]);
        Assert.Equal(1, samples["""registry_http_request_duration_seconds_count{handler="blob",method="get"}"""]);
        Assert.Equal(0, samples["""registry_http_request_size_bytes_sum{handler="blob"}"""]);
        Assert.Equal(5000, samples["""registry_http_response_size_bytes_sum{handler="blob"}"""]);
    }

    [Fact]
    public async Task The_metrics_of_our_own_stand_beside_them()
    {
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 5000));
        await PullAsync(ManifestPath("latest"));
        await JoinAsync(image.Layers[0].Digest);
        await AbortAsync();
        using (Hub.Script(Asked.Manifest, Answer.TooManyRequests()))
            await PullAsync(ManifestPath("latest"));

        await UntilAsync("mirror_client_aborts_total", 1);
        await UntilAsync("mirror_fills_running", 0);
        var samples = await ScrapeAsync();
        Assert.Equal(1, samples["""mirror_answers_total{outcome="stale",type="manifest"}"""]);
        Assert.True(Sum(samples, "mirror_upstream_requests_total", """kind="manifest",""", """status="429",""") > 0);
        Assert.Equal(image.Bytes.Length, samples["""mirror_upstream_bytes_total{type="manifest",upstream="hub.example"}"""]);
        Assert.Equal(image.Bytes.Length, samples["""registry_proxy_pulled_bytes_total{type="manifest"}"""]);
        Assert.True(samples["""mirror_upstream_request_seconds_sum{kind="manifest",upstream="hub.example"}"""] > 0);
        Assert.True(samples["""mirror_fill_seconds_count{outcome="completed"}"""] > 0);
        Assert.Equal(1, samples["mirror_fill_clients_joined_total"]);
        Assert.Equal(100, Sum(samples, "mirror_upstream_ratelimit_limit", """{account="0",upstream="hub.example"""));
        Assert.InRange(Sum(samples, "mirror_upstream_ratelimit_remaining", """{account="0",upstream="hub.example"""), 1, 99);
    }

    [Fact]
    public async Task A_rate_limit_is_shown_while_upstream_tells_it_and_the_account_is_configured()
    {
        Hub.AddImage(Repository, "1", HubBlob.Seeded(1, 5000));
        Hub.AddImage(Repository, "2", HubBlob.Seeded(2, 5000));
        await PullAsync(ManifestPath("1"));
        Assert.Equal(2, await ShownAsync());
        Hub.PullLimit = null;
        await PullAsync(ManifestPath("2"));
        Assert.Equal(0, await ShownAsync());

        Hub.PullLimit = 100;
        Hub.AddImage(Repository, "3", HubBlob.Seeded(3, 5000));
        await PullAsync(ManifestPath("3"));
        Assert.Equal(2, await ShownAsync());
        await Mirror.ReloadAsync(settings => settings with { Username = "other", Password = "secret" });
        Assert.Equal(0, await ShownAsync());

        async Task<int> ShownAsync() =>
            (await ScrapeAsync()).Count(sample => sample.Key.StartsWith("mirror_upstream_ratelimit_", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Every_answer_is_a_hit_or_a_miss_and_never_both()
    {
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 5000));
        await PullAsync(ManifestPath("latest"));
        await PullAsync(ManifestPath("latest"));
        await PullAsync(ManifestPath(image.Digest));
        await JoinAsync(image.Layers[0].Digest);
        await Mirror.UntilStoredAsync(BlobPath(image.Layers[0].Digest));
        await Hub.Registry.TakeDownAsync();
        await PullAsync(ManifestPath("latest"));

        await Until.TrueAsync(
            async () => await Mirror.MetricAsync("mirror_answers_total", ("outcome", "stale")) == 1, () => "Not counted.");
        var samples = await ScrapeAsync();
        Assert.All(Outcomes, outcome => Assert.True(Sum(samples, "mirror_answers_total", $"outcome=\"{outcome}\"") > 0, outcome));
        Assert.True(Sum(samples, "mirror_upstream_requests_total", """kind="manifest",""", """status="error",""") > 0);
        foreach (var type in (string[])["blob", "manifest"])
        {
            var answers = Outcomes.ToDictionary(
                o => o, o => samples[$$"""mirror_answers_total{outcome="{{o}}",type="{{type}}"}"""]);
            var hits = samples[$$"""registry_proxy_hits_total{type="{{type}}"}"""];
            var misses = samples[$$"""registry_proxy_misses_total{type="{{type}}"}"""];
            Assert.Equal(answers["hit"] + answers["revalidated"] + answers["stale"], hits);
            Assert.Equal(answers["miss"] + answers["joined"], misses);
            Assert.Equal(hits + misses, samples[$$"""registry_proxy_requests_total{type="{{type}}"}"""]);
        }
    }

    [Fact]
    public async Task Counters_are_there_before_their_first_event()
    {
        var samples = await ScrapeAsync();
        Assert.Equal(0, samples["""registry_proxy_hits_total{type="manifest"}"""]);
        Assert.Equal(0, samples["""mirror_answers_total{outcome="joined",type="blob"}"""]);
        Assert.Equal(0, samples["mirror_fills_running"]);
    }

    [Fact]
    public async Task The_process_and_the_runtime_are_there_under_names_dashboards_know()
    {
        var samples = await ScrapeAsync();
        Assert.True(samples["process_resident_memory_bytes"] > 1e6);
        Assert.True(samples["process_cpu_seconds_total"] > 0);
        Assert.InRange(samples["process_start_time_seconds"], 1.7e9, DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1);
        Assert.True(samples["process_open_fds"] > 2);
        Assert.Contains(samples.Keys, key => key.StartsWith("dotnet_process_cpu_time_seconds_total{", StringComparison.Ordinal));
        Assert.Contains("dotnet_process_memory_working_set_bytes", samples.Keys);
    }

    [Fact]
    public async Task Buckets_are_registry_3s_and_add_up()
    {
        for (var i = 0; i < 5; i++)
            await PullAsync(ManifestPath("nope"));

        const string Series = """{handler="manifest",method="get"}""";
        await UntilAsync($"registry_http_request_duration_seconds_count{Series}", 5);
        var samples = await ScrapeAsync();
        var buckets = samples.Where(sample => sample.Key.StartsWith(
            $"registry_http_request_duration_seconds_bucket{Series[..^1]},", StringComparison.Ordinal)).ToList();
        Assert.Equal(
            ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "25", "60", "+Inf"],
            buckets.Select(bucket => bucket.Key.Split("le=\"")[1].TrimEnd('"', '}')));
        Assert.Equal(buckets.Select(bucket => bucket.Value).Order(), buckets.Select(bucket => bucket.Value));
        Assert.Equal(5, buckets[^1].Value);
    }

    [Fact]
    public async Task Peers_cannot_invent_label_values()
    {
        var status = 430;
        using (Hub.Script(Asked.Manifest, Answer.By(context =>
        {
            context.Response.StatusCode = status;
            return Task.CompletedTask;
        })))
        {
            for (; status < 495; status++)
                using (await Mirror.SendAsync(new HttpMethod($"X{status}"), "")) // No method of a registry.
                    await PullAsync(ManifestPath($"v{status}"));
        }

        var samples = await ScrapeAsync();
        Assert.InRange(samples.Keys.Count(key => key.StartsWith("registry_http_requests_total", StringComparison.Ordinal)), 2, 20);
        Assert.InRange(samples.Keys.Count(key => key.StartsWith("mirror_upstream_requests_total", StringComparison.Ordinal)), 2, 20);
        Assert.True(Sum(samples, "registry_http_requests_total", """method="other"}""") >= 65);
        Assert.True(Sum(samples, "mirror_upstream_requests_total", """kind="manifest",""", """status="4xx",""") >= 60);
    }

    [Fact]
    public async Task A_label_value_with_quotes_and_line_breaks_stays_in_its_line()
    {
        using var pushed = await Mirror.SendAsync(HttpMethod.Post, "local/app/blobs/uploads/?digest=" + Digest.Of([]));
        Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);

        await Until.TrueAsync(async () => await Mirror.MetricAsync("registry_notifications_events_total") > 0, () => "Not counted.");
        Assert.Contains("""registry_notifications_events_total{endpoint="a\"b\\c\nd",type="Events"}""", (await ScrapeAsync()).Keys);
    }

    [Fact]
    public async Task Scrapes_at_the_same_time_are_each_whole()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, 100));
        await PullAsync(BlobPath(blob.Digest));
        await Mirror.UntilStoredAsync(BlobPath(blob.Digest));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            for (var i = 0; i < 20; i++)
            {
                await PullAsync(BlobPath(blob.Digest));
                await ScrapeAsync();
            }
        }));

        await Until.TrueAsync(
            async () => (await ScrapeAsync())["""registry_http_requests_total{code="200",handler="blob",method="get"}"""] == 161,
            () => "Not all were counted.");
    }

    [Fact]
    public async Task Another_instance_in_the_process_keeps_its_numbers_to_itself()
    {
        await using var one = await StartInProcessAsync();
        await using var other = await StartInProcessAsync();
        other.Services.GetRequiredService<RequestMetrics>().Aborted();

        Assert.Equal(0, (await ScrapeAsync(new Uri(one.Urls.First())))["mirror_client_aborts_total"]);
        Assert.Equal(1, (await ScrapeAsync(new Uri(other.Urls.First())))["mirror_client_aborts_total"]);
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("HEAD")]
    public async Task The_endpoint_answers_in_the_text_format_whatever_is_asked_for(string method)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(Mirror.Debug, "/metrics"));
        request.Headers.TryAddWithoutValidation(
            "Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1");
        using var response = await Http.Client.SendAsync(request, Cancel);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType?.ToString());
        Assert.Equal(method is "HEAD", (await response.Content.ReadAsStringAsync(Cancel)).Length == 0);
    }

    [Fact]
    public async Task Only_the_debug_port_serves_metrics_and_only_to_those_who_read()
    {
        using var ofClients = await Http.Client.GetAsync(new Uri(Mirror.Url, "/metrics"), Cancel);
        Assert.Equal(HttpStatusCode.NotFound, ofClients.StatusCode);
        using var written = await Http.Client.PostAsync(new Uri(Mirror.Debug, "/metrics"), null, Cancel);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, written.StatusCode);
    }

    private static async Task<WebApplication> StartInProcessAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var options = new MirrorOptions
        {
            Log = { Level = LogLevel.None },
            Http = { Debug = { Addr = ":0", Prometheus = { Enabled = true } } },
        };
        builder.Services.AddMirrorOptions(options);
        builder.AddTelemetry(options.Log, options.Http.Debug);
        var app = builder.Build();
        app.MapMetrics("/metrics");
        await app.StartAsync(Cancel);
        return app;
    }

    private Task<Dictionary<string, double>> ScrapeAsync() => ScrapeAsync(Mirror.Debug);

    private static async Task<Dictionary<string, double>> ScrapeAsync(Uri server) =>
        ExpositionFormat.Read(await Http.Client.GetStringAsync(new Uri(server, "/metrics"), Cancel));

    private Task UntilAsync(string sample, double value) => Until.TrueAsync(
        async () => (await ScrapeAsync()).TryGetValue(sample, out var now) && now == value, () => $"{sample} does not become {value}.");

    private static double Sum(Dictionary<string, double> samples, string name, params string[] labels) => samples
        .Where(sample => sample.Key.StartsWith(name, StringComparison.Ordinal)
            && labels.All(label => sample.Key.Contains(label, StringComparison.Ordinal)))
        .Sum(sample => sample.Value);

    private async Task PullAsync(string path)
    {
        using var response = await Mirror.GetAsync(path);
        await response.Content.ReadAsByteArrayAsync(Cancel);
    }

    /// <summary>Two clients of one download.</summary>
    private async Task JoinAsync(Digest digest)
    {
        var gate = new Gate();
        Hub.Fault(digest, BlobFault.StalledAt(1000, gate));
        using var first = await Mirror.GetAsync(BlobPath(digest));
        using var second = await Mirror.GetAsync(BlobPath(digest));
        Assert.Equal(CacheAnswer.Joined, CacheAnswer.Of(second));
        gate.Open();
        Assert.Equal(digest, await DigestOfAsync(first));
        Assert.Equal(digest, await DigestOfAsync(second));
    }

    /// <summary>A client that leaves before its answer's end.</summary>
    private async Task AbortAsync()
    {
        var (blob, gate) = (Hub.AddBlob(Repository, HubBlob.Seeded(9, 5000)), new Gate());
        Hub.Fault(blob.Digest, BlobFault.StalledAt(1000, gate));
        (await Mirror.GetAsync(BlobPath(blob.Digest))).Dispose();
        await UntilAsync("mirror_client_aborts_total", 1);
        gate.Open();
    }
}
