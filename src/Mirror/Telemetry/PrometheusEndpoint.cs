namespace Mirror.Telemetry;

public static class PrometheusEndpoint
{
    /// <summary>Serves the metrics at <paramref name="path"/> and begins to collect them.</summary>
    public static IEndpointConventionBuilder MapPrometheus(this IEndpointRouteBuilder endpoints, string path)
    {
        var scrape = endpoints.ServiceProvider.GetRequiredService<PrometheusScrape>();
        return endpoints.MapMethods(path, [HttpMethods.Get, HttpMethods.Head], scrape.AnswerAsync);
    }
}
