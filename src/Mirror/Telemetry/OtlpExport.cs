using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Mirror.Telemetry;

/// <summary>
/// Sends traces, and metrics where asked, by OTLP while the host runs. Endpoint, protocol, headers, sampler, service name
/// and resource attributes are the standard variables', read by the SDK.
/// </summary>
internal sealed class OtlpExport(OtlpSettings settings, RegistryMetrics metrics) : IHostedService, IDisposable
{
    private TracerProvider? _traces;
    private MeterProvider? _meters;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        // The runtime's own sources record a URL's query as "*" and no Authorization header: what a signed URL grants
        // stays out of the traces.
        if (settings.Traces)
            _traces = Sdk.CreateTracerProviderBuilder()
                .ConfigureResource(Describe)
                .AddSource("Microsoft.AspNetCore", "System.Net.Http", Traces.SourceName)
                .AddOtlpExporter()
                .Build();
        if (settings.Metrics)
            _meters = Sdk.CreateMeterProviderBuilder()
                .ConfigureResource(Describe)
                .AddMeter(RegistryMetrics.MeterName, "System.Runtime")
                .AddView(metrics.DropOthers)
                .AddOtlpExporter()
                .Build();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        Dispose();
        return Task.CompletedTask;
    }

    /// <summary>Sends what is left.</summary>
    public void Dispose()
    {
        _traces?.Dispose();
        _meters?.Dispose();
        _traces = null;
        _meters = null;
    }

    // The variables last: what the operator says wins.
    private static void Describe(ResourceBuilder resource) => resource
        .Clear()
        .AddService("mirror", serviceVersion: typeof(OtlpExport).Assembly.GetName().Version?.ToString(3))
        .AddTelemetrySdk()
        .AddEnvironmentVariableDetector();
}
