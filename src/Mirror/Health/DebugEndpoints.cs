using Mirror.Configuration;
using Mirror.Telemetry;

namespace Mirror.Health;

/// <summary>The routes of <c>http.debug.addr</c>, a separate port for metrics and health.</summary>
public static class DebugEndpoints
{
    // Some probes ask by HEAD. The framework answers it without the body.
    private static readonly string[] Reads = [HttpMethods.Get, HttpMethods.Head];

    // Go's pages, which a program of .NET does not have. The first one showed the settings, secrets among them.
    private static readonly (string Path, string Instead)[] Elsewhere =
    [
        ("/debug/vars", "The numbers of this server are its metrics: set http.debug.prometheus.enabled.\n"),
        ("/debug/pprof/{**rest}", "This server is no program of Go. Use dotnet-counters, dotnet-trace or dotnet-dump.\n"),
    ];

    /// <summary>Adds the services that <see cref="MapDebug"/> needs, if there is a debug port. The registry uses no routing.</summary>
    public static IServiceCollection AddDebugEndpoints(this IServiceCollection services, DebugOptions debug) =>
        debug.Addr is null ? services : services.AddRouting();

    /// <summary>Answers every request to <c>http.debug.addr</c>, and no other.</summary>
    public static void MapDebug(this WebApplication app, DebugOptions debug) =>
        app.MapSeparately(Listener.Debug.Accepted, port => port.UseRouting().UseEndpoints(endpoints =>
        {
            if (debug.Prometheus.Enabled)
                endpoints.MapMetrics(debug.Prometheus.Path);
            endpoints.MapMethods(
                "/debug/health", Reads, static (IServiceProvider services) => Answer(services.GetService<HealthChecks>()?.Failing));
            foreach (var (path, instead) in Elsewhere)
                endpoints.MapMethods(path, Reads, () => Results.Text(instead, statusCode: StatusCodes.Status404NotFound));
            endpoints.MapMethods("/debug/live", Reads, static () => Results.Text("{}", "application/json"));
            endpoints.MapMethods(
                "/debug/ready",
                Reads,
                static async (Readiness readiness, StoreWrites writes, CancellationToken aborted) =>
                    Answer(await readiness.FailuresAsync(aborted), writes.Failure));
        }));

    // As in registry:2: the failures by name. If the store takes no writes, the answer names that, but stored content is served.
    private static IResult Answer(Dictionary<string, string>? failures, string? writeFailure = null) =>
        failures is { Count: > 0 } ? Json(failures, StatusCodes.Status503ServiceUnavailable)
        : writeFailure is not null ? Json(new() { ["storage"] = $"takes no writes: {writeFailure}" }, StatusCodes.Status200OK)
        : Results.Text("{}", "application/json");

    private static IResult Json(Dictionary<string, string> failures, int status) =>
        Results.Json(failures, ReadinessJson.Default.DictionaryStringString, statusCode: status);
}
