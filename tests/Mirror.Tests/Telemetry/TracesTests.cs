using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Telemetry;

public sealed class TracesTests
{
    private static readonly Digest Layer = Digest.Of("layer"u8);

    private static ActivityListener Listen(Action<Activity> ended) =>
        Listen(ended, "Microsoft.AspNetCore", "System.Net.Http", Traces.SourceName);

    private static ActivityListener Listen(Action<Activity> ended, params string[] sources)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = source => sources.Contains(source.Name),
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = ended,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    [Theory]
    [InlineData(null, null, null, false, false)]
    [InlineData("http://c:4318", null, null, true, false)]
    [InlineData("http://c:4318", "otlp", "otlp", true, true)]
    [InlineData("http://c:4318", "none", null, false, false)]
    [InlineData(null, "otlp", "otlp", false, false)]
    public void Nothing_is_exported_that_the_environment_does_not_ask_for(
        string? endpoint, string? traces, string? metrics, bool expectTraces, bool expectMetrics)
    {
        var variables = new Dictionary<string, string?>
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint,
            ["OTEL_TRACES_EXPORTER"] = traces,
            ["OTEL_METRICS_EXPORTER"] = metrics,
        };

        Assert.Equal(new OtlpSettings(expectTraces, expectMetrics), OtlpSettings.Read(variables.GetValueOrDefault));
        variables["OTEL_SDK_DISABLED"] = "true";
        Assert.False(OtlpSettings.Read(variables.GetValueOrDefault).Any);
    }

    [Fact]
    public void The_license_key_of_new_relic_goes_to_new_relic_only()
    {
        var options = new NewRelicOptions { LicenseKey = "eu01 key", Name = "shop" };

        var variables = NewRelic.Variables(options, _ => null);
        Assert.Equal("https://otlp.eu01.nr-data.net", variables["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        Assert.Equal("api-key=eu01%20key", variables["OTEL_EXPORTER_OTLP_HEADERS"]);
        Assert.Equal(("delta", "shop"),
            (variables["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"], variables["OTEL_SERVICE_NAME"]));
        Assert.Equal(new OtlpSettings(true, true), OtlpSettings.Read(variables.GetValueOrDefault));
        Assert.Equal("https://otlp.nr-data.net",
            NewRelic.Variables(new() { LicenseKey = "k" }, _ => null)["OTEL_EXPORTER_OTLP_ENDPOINT"]);

        Assert.Empty(NewRelic.Variables(options, name => name is "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" ? "http://c:4318" : null));
        Assert.Empty(NewRelic.Variables(new(), _ => null));
    }

    [Fact]
    public void An_endpoint_for_one_signal_is_for_that_signal()
    {
        Assert.Equal(new OtlpSettings(true, false), Read("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
        Assert.Equal(new OtlpSettings(false, true), Read("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"));

        static OtlpSettings Read(string variable) => OtlpSettings.Read(name => name == variable ? "http://c" : null);
    }

    [Fact]
    public async Task The_mirror_exports_as_the_standard_variables_say()
    {
        MirrorProcess.Availability.OrSkip();
        var (collector, paths) = (new Uri($"http://127.0.0.1:{Ports.Free()}"), new ConcurrentBag<string>());
        await using var server = await OwnServer.StartAsync(collector, context =>
        {
            paths.Add($"{context.Request.Path} {context.Request.Headers["X-Key"]}");
            return Task.CompletedTask;
        });
        var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string>
            {
                ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.AbsoluteUri,
                ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
                ["OTEL_EXPORTER_OTLP_HEADERS"] = "X-Key=hush",
                ["OTEL_METRICS_EXPORTER"] = "otlp",
            },
        });
        await mirror.DisposeAsync();

        Assert.Contains("/v1/traces hush", paths);
        Assert.Contains("/v1/metrics hush", paths);
    }

    [Fact]
    public async Task Neither_a_signed_urls_query_nor_a_credential_is_recorded()
    {
        var cancel = TestContext.Current.CancellationToken;
        OpenTelemetryRegistration.DescribeRequests();
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using var app = builder.Build();
        app.Run(context => context.Response.WriteAsync("ok", cancel));
        await app.StartAsync(cancel);
        var spans = new ConcurrentQueue<Activity>();
        using (Listen(spans.Enqueue))
        using (var client = new HttpClient())
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"{app.Urls.First()}/blob?X-Amz-Signature=hush");
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", "hush");
            using var response = await client.SendAsync(request, cancel);
            await app.StopAsync(cancel);
        }

        var ours = spans.Where(
            span => span.GetTagItem("server.port") is int port && port == new Uri(app.Urls.First()).Port
            || span.GetTagItem("url.path") is "/blob").ToList();
        Assert.NotEmpty(ours);
        Assert.All(spans, span => Assert.DoesNotContain("hush", Told(span), StringComparison.Ordinal));
    }

    [Fact]
    public void A_download_begins_its_own_trace_and_names_the_request_that_started_it()
    {
        using var listener = Listen(_ => { }, Traces.SourceName);
        using var request = new Activity("request").Start();
        var fill = Traces.StartFill(
            ContentKind.Blob, Layer, RepositoryName.Parse("library/alpine"), "registry-1.docker.io", request.Context);

        Assert.NotNull(fill);
        Assert.Same(fill, Activity.Current);
        Assert.NotEqual(request.TraceId, fill.TraceId);
        Assert.Equal(request.Context, Assert.Single(fill.Links).Context);
        fill.EndFill(5, "upstream sent other bytes");
        Assert.Equal(ActivityStatusCode.Error, fill.Status);
        Assert.Equal(5L, fill.GetTagItem("mirror.bytes"));
    }

    [Fact]
    public void A_requests_span_says_what_was_answered_and_from_where()
    {
        using var span = new Activity("request").Start();
        span.EndRequest(RouteKind.Blob, "GET", 503, CacheStatus.Stale);

        Assert.Equal("GET blob", span.DisplayName);
        Assert.Equal(503, span.GetTagItem("http.response.status_code"));
        Assert.Equal("stale", span.GetTagItem("mirror.cache"));
        Assert.Equal(ActivityStatusCode.Error, span.Status);
    }

    private static string Told(Activity span) => string.Join('\n', span.TagObjects
        .Concat(span.Events.SelectMany(e => e.Tags))
        .Select(tag => $"{tag.Key}={tag.Value}")
        .Append(span.DisplayName));
}
