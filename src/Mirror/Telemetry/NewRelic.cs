using Mirror.Configuration;

namespace Mirror.Telemetry;

/// <summary>The keys of New Relic, as settings of the OTLP export. New Relic has closed its older interface.</summary>
internal static class NewRelic
{
    // If one of these is set, the data goes elsewhere, and the license key must not go there.
    private static readonly string[] OtherEndpoints =
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"];

    /// <summary>The variables of OpenTelemetry that send metrics and traces to New Relic; none without a license key, or if the environment
    /// names another endpoint.</summary>
    public static IReadOnlyDictionary<string, string> Variables(NewRelicOptions options, Func<string, string?> environment) =>
        options.LicenseKey is not { } key || OtherEndpoints.Any(name => !string.IsNullOrWhiteSpace(environment(name)))
            ? new Dictionary<string, string>()
            : new Dictionary<string, string>
            {
                ["OTEL_EXPORTER_OTLP_ENDPOINT"] = Endpoint(key),
                ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
                ["OTEL_EXPORTER_OTLP_HEADERS"] = $"api-key={Uri.EscapeDataString(key)}",
                ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = "delta",
                ["OTEL_METRICS_EXPORTER"] = environment("OTEL_METRICS_EXPORTER") ?? "otlp",
                ["OTEL_SERVICE_NAME"] = environment("OTEL_SERVICE_NAME") ?? options.Name,
            };

    // The keys of accounts in the European Union begin with "eu".
    private static string Endpoint(string key) =>
        key.StartsWith("eu", StringComparison.OrdinalIgnoreCase) ? "https://otlp.eu01.nr-data.net" : "https://otlp.nr-data.net";
}
