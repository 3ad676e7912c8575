using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace Mirror.Telemetry;

/// <summary>
/// What Prometheus reads. Metrics are collected from the moment this exists and while it lives, so it is made only where a
/// scrape is configured. Safe for any number of scrapes at a time: they take turns.
/// </summary>
public sealed class PrometheusScrape : IDisposable
{
    private readonly Lock _turn = new();
    private readonly Utf8Buffer _text = new();
    private readonly PrometheusText _exporter;
    private readonly MeterProvider _provider;

    public PrometheusScrape(RegistryMetrics metrics)
    {
        _exporter = new PrometheusText(_text);
        ProcessMetrics.AddTo(metrics.Meter);
        // The SDK stops at 2000 label sets a metric and counts the rest under otel_metric_overflow; with closed label sets
        // ours stay far below it.
        _provider = Sdk.CreateMeterProviderBuilder()
            .AddMeter(RegistryMetrics.MeterName, "System.Runtime")
            .AddView(metrics.DropOthers)
            .AddReader(new BaseExportingMetricReader(_exporter))
            .Build();
        metrics.StartAtZero();
    }

    /// <summary>The metrics as they are now, in UTF-8.</summary>
    public byte[] Collect()
    {
        // Collecting is a millisecond of work without I/O: a lock is simpler than sharing one result.
        lock (_turn)
        {
            _text.Clear();
            _exporter.Collect?.Invoke(Timeout.Infinite);
            return _text.Written.ToArray();
        }
    }

    /// <summary>Answers one scrape.</summary>
    public async Task AnswerAsync(HttpContext context)
    {
        var text = Collect();
        context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        context.Response.ContentLength = text.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await context.Response.Body.WriteAsync(text, context.RequestAborted);
    }

    public void Dispose() => _provider.Dispose();
}
