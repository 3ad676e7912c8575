using Mirror.Configuration;

namespace Mirror.Telemetry;

/// <summary>What <c>http.debug.addr</c> serves: metrics and health, on a port of their own.</summary>
public static class DebugEndpoints
{
    /// <summary>Adds what <see cref="MapDebug"/> needs, where there is such a port; all other requests do without.</summary>
    public static IServiceCollection AddDebugEndpoints(this IServiceCollection services, DebugOptions debug) => debug.Addr is null ? services : services.AddRouting();

    /// <summary>Answers every request that came in by the debug port, and no other.</summary>
    public static void MapDebug(this WebApplication app, ListenAddress address, DebugOptions debug) =>
        app.MapWhen(context => context.Connection.LocalPort == address.Port, branch => branch.UseRouting().UseEndpoints(endpoints =>
        {
            if (debug.Prometheus.Enabled)
                endpoints.MapPrometheus(debug.Prometheus.Path);
            endpoints.MapGet("/debug/health", static () => Results.Text("{}", "application/json"));
            endpoints.MapGet("/debug/live", static () => Results.Text("{}", "application/json"));
            endpoints.MapGet("/debug/ready", static async (Readiness readiness, CancellationToken aborted) => await readiness.WhyNotAsync(aborted) is { } why
                ? Results.Json(why, ReadinessJson.Default.DictionaryStringString, statusCode: StatusCodes.Status503ServiceUnavailable)
                : Results.Text("{}", "application/json"));
        }));
}
