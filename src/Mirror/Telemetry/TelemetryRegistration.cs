using Mirror.Health;

namespace Mirror.Telemetry;

public static class TelemetryRegistration
{
    /// <summary>
    /// Metrics, the access log, and, where the standard <c>OTEL_*</c> variables ask for it, export by OTLP. Nothing is
    /// collected until <see cref="PrometheusEndpoint.MapPrometheus"/> or those variables say who reads it.
    /// </summary>
    public static IServiceCollection AddMirrorTelemetry(this IServiceCollection services)
    {
        services.AddMetrics();
        services.AddSingleton<RegistryMetrics>();
        services.AddSingleton<PrometheusScrape>();
        services.AddSingleton<AccessLog>();
        services.AddSingleton<Readiness>();
        var otlp = OtlpSettings.Read(Environment.GetEnvironmentVariable);
        if (otlp.Traces)
            OtlpExport.DescribeRequests();
        if (otlp.Any)
            services.AddHostedService(provider => new OtlpExport(otlp, provider.GetRequiredService<RegistryMetrics>()));
        return services;
    }
}
