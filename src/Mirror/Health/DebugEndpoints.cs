using Mirror.Configuration;
using Mirror.Telemetry;

namespace Mirror.Health;

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
                endpoints.MapMetrics(debug.Prometheus.Path);
            endpoints.MapGet("/debug/health", static (IServiceProvider services) => Answer(services.GetService<HealthChecks>()?.Failing));
            endpoints.MapGet("/debug/live", static () => Results.Text("{}", "application/json"));
            endpoints.MapGet("/debug/ready", static async (Readiness readiness, CancellationToken aborted) => Answer(await readiness.WhyNotAsync(aborted)));
        }));

    // As registry:2: what is wrong, by name.
    private static IResult Answer(Dictionary<string, string>? wrong) => wrong is { Count: > 0 }
        ? Results.Json(wrong, ReadinessJson.Default.DictionaryStringString, statusCode: StatusCodes.Status503ServiceUnavailable)
        : Results.Text("{}", "application/json");
}
