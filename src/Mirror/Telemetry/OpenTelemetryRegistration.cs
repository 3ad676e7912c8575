using System.Collections;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Mirror.Telemetry;

/// <summary>Sets up what leaves the process: metrics for Prometheus, and traces and metrics by OTLP.</summary>
public static class OpenTelemetryRegistration
{
    /// <summary>
    /// Collects metrics where Prometheus is to read them, and exports by OTLP what the standard <c>OTEL_*</c> variables ask for. The SDK
    /// reads the other variables: endpoint, protocol, headers, sampler, service name and resource attributes.
    /// </summary>
    /// <param name="overrides">Variables in place of those of the environment.</param>
    internal static void AddOpenTelemetry(
        this IHostApplicationBuilder builder, bool prometheus, OtlpSettings otlp, IReadOnlyDictionary<string, string> overrides)
    {
        builder.Configuration.AddInMemoryCollection(Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Where(variable => ((string)variable.Key).StartsWith("OTEL_", StringComparison.Ordinal))
            .Select(variable => KeyValuePair.Create((string)variable.Key, (string?)variable.Value)))
            .AddInMemoryCollection(overrides.Select(variable => KeyValuePair.Create(variable.Key, (string?)variable.Value)));
        var telemetry = builder.Services.AddOpenTelemetry().ConfigureResource(Describe);
        if (otlp.Traces)
        {
            DescribeRequests();
            // The runtime's own sources record a URL's query as "*" and no Authorization header: what a signed URL grants stays out of the
            // traces.
            telemetry.WithTracing(traces => traces
                .AddSource("Microsoft.AspNetCore", "System.Net.Http", Traces.SourceName)
                .AddOtlpExporter());
        }
        if (prometheus || otlp.Metrics)
        {
            builder.Services.ConfigureOpenTelemetryMeterProvider((services, metrics) =>
                metrics.AddView(services.GetRequiredService<MirrorMeter>().DropOthers));
            // The SDK stops at 2000 label sets a metric. Our label sets are closed and stay far below that.
            telemetry.WithMetrics(metrics => metrics.AddMeter(MirrorMeter.Name, "System.Runtime"));
        }
        if (otlp.Metrics)
            telemetry.WithMetrics(metrics => metrics.AddOtlpExporter());
        if (prometheus)
            telemetry.WithMetrics(metrics => metrics.AddView(ProcessMetrics.DropMisnamed).AddPrometheusExporter(exporter =>
            {
                // Names and labels are registry:3's, without labels and metrics of the SDK's own.
                exporter.ScopeInfoEnabled = false;
                exporter.TargetInfoEnabled = false;
                // Each scrape collects anew.
                exporter.ScrapeResponseCacheDurationMilliseconds = 0;
            }));
    }

    /// <summary>
    /// Makes the server put the method and the path of a request on its span, and never the query. Without this the span has neither.
    /// To be called before the server is built.
    /// </summary>
    internal static void DescribeRequests() =>
        AppContext.SetSwitch("Microsoft.AspNetCore.Hosting.SuppressActivityOpenTelemetryData", false);

    /// <summary>Serves the metrics at <paramref name="path"/>, for GET and HEAD, in Prometheus' text format 0.0.4.</summary>
    public static void MapMetrics(this IEndpointRouteBuilder endpoints, string path)
    {
        // Whatever format the scraper prefers. In OpenMetrics le="1" would be le="1.0", and each bucket would become another series.
        endpoints.MapPrometheusScrapingEndpoint(path, null, scrape => scrape.Use((context, next) =>
        {
            context.Request.Headers.Accept = "text/plain;version=0.0.4";
            return next(context);
        }), null).WithMetadata(new HttpMethodMetadata([HttpMethods.Get, HttpMethods.Head]));
        foreach (var metrics in TelemetryRegistration.AllMetrics)
            endpoints.ServiceProvider.GetRequiredService(metrics);
        endpoints.ServiceProvider.GetRequiredService<MirrorMeter>().StartAtZero();
    }

    // The variables come last: what the operator says wins.
    private static void Describe(ResourceBuilder resource) => resource
        .Clear()
        .AddService("mirror", serviceVersion: Build.Version)
        .AddTelemetrySdk()
        .AddEnvironmentVariableDetector();
}
