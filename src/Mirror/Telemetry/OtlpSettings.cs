namespace Mirror.Telemetry;

/// <summary>
/// Whether the standard <c>OTEL_*</c> variables ask for export. Without an endpoint nothing is exported: OpenTelemetry's own
/// default, a collector on this host, is more often a surprise than a wish.
/// </summary>
/// <param name="Traces">Off with <c>OTEL_TRACES_EXPORTER=none</c>.</param>
/// <param name="Metrics">Only where asked for by name, since a trace collector does not always take metrics.</param>
internal readonly record struct OtlpSettings(bool Traces, bool Metrics)
{
    public bool Any => Traces || Metrics;

    public static OtlpSettings Read(Func<string, string?> variable)
    {
        if (string.Equals(variable("OTEL_SDK_DISABLED"), "true", StringComparison.OrdinalIgnoreCase))
            return default;
        var anywhere = IsSet("OTEL_EXPORTER_OTLP_ENDPOINT");
        var traces = (anywhere || IsSet("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
            && (!IsSet("OTEL_TRACES_EXPORTER") || Names("OTEL_TRACES_EXPORTER"));
        var metrics = IsSet("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
            ? !IsSet("OTEL_METRICS_EXPORTER") || Names("OTEL_METRICS_EXPORTER")
            : anywhere && Names("OTEL_METRICS_EXPORTER");
        return new(traces, metrics);

        bool IsSet(string name) => !string.IsNullOrWhiteSpace(variable(name));

        bool Names(string name) => (variable(name) ?? "").Split(',', StringSplitOptions.TrimEntries).Contains("otlp");
    }
}
