using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Mirror.Telemetry;
using Xunit;

namespace Mirror.Tests.Telemetry;

public sealed class PrometheusTests : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddLogging().AddMirrorTelemetry().BuildServiceProvider();

    private RegistryMetrics Metrics => _services.GetRequiredService<RegistryMetrics>();

    public void Dispose() => _services.Dispose();

    private string Text() => Encoding.UTF8.GetString(_services.GetRequiredService<PrometheusScrape>().Collect());

    private Dictionary<string, double> Scrape() => ExpositionFormat.Read(Text());

    [Fact]
    public void A_pull_moves_the_counters_registry_3_users_watch()
    {
        Scrape();
        Metrics.RequestStarted(RouteKind.Blob);
        Metrics.RequestStarted(RouteKind.Blob);
        Metrics.RequestEnded(RouteKind.Blob, "GET", 200, 0.02, 0, 5000);
        Metrics.Answered(ContentKind.Blob, CacheStatus.Miss, 5000);
        Metrics.UpstreamBytes(UpstreamKind.Blob, 5000);
        Metrics.StorageAction("filesystem", "Stat", 0.001);

        var samples = Scrape();
        Assert.Equal(1, samples["""registry_proxy_requests_total{type="blob"}"""]);
        Assert.Equal(0, samples["""registry_proxy_hits_total{type="blob"}"""]);
        Assert.Equal(1, samples["""registry_proxy_misses_total{type="blob"}"""]);
        Assert.Equal(5000, samples["""registry_proxy_pulled_bytes_total{type="blob"}"""]);
        Assert.Equal(5000, samples["""registry_proxy_pushed_bytes_total{type="blob"}"""]);
        Assert.Equal(1, samples["""registry_http_in_flight_requests{handler="blob"}"""]);
        Assert.Equal(1, samples["""registry_http_requests_total{code="200",handler="blob",method="get"}"""]);
        Assert.Equal(1, samples["""registry_http_request_duration_seconds_count{handler="blob",method="get"}"""]);
        Assert.Equal(0, samples["""registry_http_request_size_bytes_sum{handler="blob"}"""]);
        Assert.Equal(5000, samples["""registry_http_response_size_bytes_sum{handler="blob"}"""]);
        Assert.Equal(1, samples["""registry_storage_action_seconds_count{action="Stat",driver="filesystem"}"""]);
    }

    [Fact]
    public void Ours_stand_beside_them()
    {
        Scrape();
        Metrics.Answered(ContentKind.Manifest, CacheStatus.Stale, 7);
        Metrics.UpstreamAnswered(UpstreamKind.Manifest, "HEAD", 429, 0.3);
        Metrics.UpstreamAnswered(UpstreamKind.Token, "GET", null, 10);
        Metrics.UpstreamBytes(UpstreamKind.Token, 11);
        Metrics.FillStarted();
        Metrics.FillStarted();
        Metrics.FillEnded(completed: true, 2);
        Metrics.ClientJoined();
        Metrics.RateLimit("registry-1.docker.io", 0, 100, 42);
        Metrics.RateLimit("registry-1.docker.io", 0, null, 41);
        Metrics.ClientAborted();

        var samples = Scrape();
        Assert.Equal(1, samples["""mirror_answers_total{outcome="stale",type="manifest"}"""]);
        Assert.Equal(1, samples["""mirror_upstream_requests_total{kind="manifest",method="head",status="429"}"""]);
        Assert.Equal(1, samples["""mirror_upstream_requests_total{kind="token",method="get",status="error"}"""]);
        Assert.Equal(11, samples["""mirror_upstream_bytes_total{type="token"}"""]);
        Assert.Equal(0, samples["""registry_proxy_pulled_bytes_total{type="manifest"}"""]);
        Assert.Equal(0.3, samples["""mirror_upstream_request_seconds_sum{kind="manifest"}"""]);
        Assert.Equal(1, samples["mirror_fills_running"]);
        Assert.Equal(1, samples["""mirror_fill_seconds_count{outcome="completed"}"""]);
        Assert.Equal(1, samples["mirror_fill_clients_joined_total"]);
        Assert.Equal(100, samples["""mirror_upstream_ratelimit_limit{account="0",upstream="registry-1.docker.io"}"""]);
        Assert.Equal(41, samples["""mirror_upstream_ratelimit_remaining{account="0",upstream="registry-1.docker.io"}"""]);
        Assert.Equal(1, samples["mirror_client_aborts_total"]);
    }

    [Theory]
    [InlineData(CacheStatus.Hit, 1)]
    [InlineData(CacheStatus.Revalidated, 1)]
    [InlineData(CacheStatus.Stale, 1)]
    [InlineData(CacheStatus.Miss, 0)]
    [InlineData(CacheStatus.Joined, 0)]
    public void Every_answer_is_a_hit_or_a_miss_and_never_both(CacheStatus outcome, double hits)
    {
        Scrape();
        Metrics.Answered(ContentKind.Blob, outcome, 1);

        var samples = Scrape();
        Assert.Equal(hits, samples["""registry_proxy_hits_total{type="blob"}"""]);
        Assert.Equal(1 - hits, samples["""registry_proxy_misses_total{type="blob"}"""]);
        Assert.Equal(1, samples[$$"""mirror_answers_total{outcome="{{outcome.Label}}",type="blob"}"""]);
    }

    [Fact]
    public void Counters_are_there_before_their_first_event()
    {
        var samples = Scrape();
        Assert.Equal(0, samples["""registry_proxy_hits_total{type="manifest"}"""]);
        Assert.Equal(0, samples["""mirror_answers_total{outcome="joined",type="blob"}"""]);
        Assert.Equal(0, samples["mirror_fills_running"]);
    }

    [Fact]
    public void The_process_and_the_runtime_are_there_under_names_dashboards_know()
    {
        var samples = Scrape();
        Assert.True(samples["process_resident_memory_bytes"] > 1e6);
        Assert.True(samples["process_cpu_seconds_total"] > 0);
        Assert.InRange(samples["process_start_time_seconds"], 1.7e9, DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1);
        Assert.True(samples["process_open_fds"] > 2);
        Assert.Contains(samples.Keys, key => key.StartsWith("dotnet_process_cpu_time_seconds_total{", StringComparison.Ordinal));
        Assert.Contains("dotnet_process_memory_working_set_bytes", samples.Keys);
    }

    [Fact]
    public void Buckets_are_registry_3s_and_add_up()
    {
        Scrape();
        foreach (var seconds in (double[])[0.001, 0.005, 0.3, 20, 100])
            Metrics.RequestEnded(RouteKind.Manifest, "GET", 200, seconds, 0, 0);

        var buckets = Scrape()
            .Where(sample => sample.Key.StartsWith("""registry_http_request_duration_seconds_bucket{handler="manifest",method="get",""", StringComparison.Ordinal))
            .ToList();
        Assert.Equal(
            ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "25", "60", "+Inf"],
            buckets.Select(bucket => bucket.Key.Split("le=\"")[1].TrimEnd('"', '}')));
        Assert.Equal([2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 5], buckets.Select(bucket => bucket.Value));
    }

    [Fact]
    public void Peers_cannot_invent_label_values()
    {
        Scrape();
        for (var status = -5; status < 5000; status++)
        {
            Metrics.RequestEnded(RouteKind.Other, $"X{status}", status, 0, 0, 0);
            Metrics.UpstreamAnswered(UpstreamKind.Other, $"X{status}", status, 0);
        }

        var samples = Scrape();
        Assert.InRange(samples.Keys.Count(key => key.StartsWith("registry_http_requests_total", StringComparison.Ordinal)), 1, 50);
        Assert.InRange(samples.Keys.Count(key => key.StartsWith("mirror_upstream_requests_total", StringComparison.Ordinal)), 1, 50);
    }

    [Fact]
    public void A_label_value_with_quotes_and_line_breaks_stays_in_its_line()
    {
        Scrape();
        Metrics.RateLimit("a\"b\\c\nd", 0, 1, 1);

        Assert.Contains("""mirror_upstream_ratelimit_limit{account="0",upstream="a\"b\\c\nd"}""", Scrape().Keys);
    }

    [Fact]
    public async Task Scrapes_at_the_same_time_are_each_whole()
    {
        var cancel = TestContext.Current.CancellationToken;
        Scrape();
        var scrapes = Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 20; i++)
            {
                Metrics.Answered(ContentKind.Blob, CacheStatus.Hit, 1);
                Scrape();
            }
        }, cancel));
        await Task.WhenAll(scrapes);

        Assert.Equal(160, Scrape()["""registry_proxy_hits_total{type="blob"}"""]);
    }

    [Fact]
    public void Another_instance_in_the_process_keeps_its_numbers_to_itself()
    {
        using var other = new PrometheusTests();
        Scrape();
        other.Scrape();
        other.Metrics.ClientAborted();

        Assert.Equal(0, Scrape()["mirror_client_aborts_total"]);
        Assert.Equal(1, other.Scrape()["mirror_client_aborts_total"]);
    }

    [Fact]
    public async Task The_endpoint_answers_in_the_text_format()
    {
        var cancel = TestContext.Current.CancellationToken;
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddMirrorTelemetry();
        await using var app = builder.Build();
        app.MapPrometheus("/metrics");
        await app.StartAsync(cancel);
        var address = app.Urls.First();

        using var client = new HttpClient { BaseAddress = new Uri(address) };
        using var response = await client.GetAsync(new Uri("/metrics", UriKind.Relative), cancel);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType?.ToString());
        Assert.Contains("mirror_fills_running", ExpositionFormat.Read(await response.Content.ReadAsStringAsync(cancel)).Keys);
    }
}
