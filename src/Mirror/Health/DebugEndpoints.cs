using Mirror.Configuration;
using Mirror.Telemetry;

namespace Mirror.Health;

/// <summary>What <c>http.debug.addr</c> serves: metrics and health, on a port of its own.</summary>
public static class DebugEndpoints
{
    /// <summary>Adds the services that <see cref="MapDebug"/> needs, if there is a debug port. The registry uses no routing.</summary>
    public static IServiceCollection AddDebugEndpoints(this IServiceCollection services, DebugOptions debug) =>
        debug.Addr is null ? services : services.AddRouting();

    /// <summary>Answers every request to the debug port, and no other.</summary>
    public static void MapDebug(this WebApplication app, ListenAddress address, DebugOptions debug) =>
        app.MapWhen(context => context.Connection.LocalPort == address.Port, branch => branch.UseRouting().UseEndpoints(endpoints =>
        {
            if (debug.Prometheus.Enabled)
                endpoints.MapMetrics(debug.Prometheus.Path);
            endpoints.MapGet("/debug/health", static (IServiceProvider services) => Answer(services.GetService<HealthChecks>()?.Failing));
            endpoints.MapGet("/debug/live", static () => Results.Text("{}", "application/json"));
            endpoints.MapGet(
                "/debug/ready",
                static async (Readiness readiness, CancellationToken aborted) => Answer(await readiness.FailuresAsync(aborted)));
        }));

    // As in registry:2: the failures by name.
    private static IResult Answer(Dictionary<string, string>? failures) => failures is { Count: > 0 }
        ? Results.Json(failures, ReadinessJson.Default.DictionaryStringString, statusCode: StatusCodes.Status503ServiceUnavailable)
        : Results.Text("{}", "application/json");
}
