namespace Mirror.Telemetry;

/// <summary>
/// Whether the standard <c>OTEL_*</c> variables ask for export. Without an endpoint nothing is exported: OpenTelemetry's own default, a
/// collector on this host, would surprise more users than it would help.
/// </summary>
/// <param name="Traces">Off with <c>OTEL_TRACES_EXPORTER=none</c>.</param>
/// <param name="Metrics">Only where a variable names them, since a collector of traces does not always take metrics.</param>
internal readonly record struct OtlpSettings(bool Traces, bool Metrics)
{
    public bool Any => Traces || Metrics;

    public static OtlpSettings Read(Func<string, string?> variable)
    {
        if (string.Equals(variable("OTEL_SDK_DISABLED"), "true", StringComparison.OrdinalIgnoreCase))
            return default;
        var forAll = IsSet("OTEL_EXPORTER_OTLP_ENDPOINT");
        var traces = (forAll || IsSet("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
            && (!IsSet("OTEL_TRACES_EXPORTER") || Names("OTEL_TRACES_EXPORTER"));
        var metrics = IsSet("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
            ? !IsSet("OTEL_METRICS_EXPORTER") || Names("OTEL_METRICS_EXPORTER")
            : forAll && Names("OTEL_METRICS_EXPORTER");
        return new(traces, metrics);

        bool IsSet(string name) => !string.IsNullOrWhiteSpace(variable(name));

        bool Names(string name) => (variable(name) ?? "").Split(',', StringSplitOptions.TrimEntries).Contains("otlp");
    }
}
