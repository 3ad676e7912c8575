using System.Diagnostics;

namespace Mirror.Telemetry;

/// <summary>Writes a line of the log for each request of an exporter, with its outcome: <c>reporting.newrelic.verbose</c>.</summary>
internal sealed partial class LoggedExport(ILogger<LoggedExport> log) : DelegatingHandler
{
    // The exporters of OpenTelemetry ask for HTTP clients of these names.
    private static readonly string[] Clients = ["OtlpTraceExporter", "OtlpMetricExporter"];

    public static void Register(IServiceCollection services)
    {
        foreach (var client in Clients)
            services.AddHttpClient(client)
                .AddHttpMessageHandler(all => new LoggedExport(all.GetRequiredService<ILogger<LoggedExport>>()));
    }

    // The exporters send from threads of their own, without waiting in a task.
    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var start = Stopwatch.GetTimestamp();
        try
        {
            return Told(request, base.Send(request, cancellationToken), start);
        }
        catch (Exception failure)
        {
            Tell(request, failure, start);
            throw;
        }
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var start = Stopwatch.GetTimestamp();
        try
        {
            return Told(request, await base.SendAsync(request, cancellationToken), start);
        }
        catch (Exception failure)
        {
            Tell(request, failure, start);
            throw;
        }
    }

    private HttpResponseMessage Told(HttpRequestMessage request, HttpResponseMessage response, long start)
    {
        LogSent(log, request.RequestUri!, (int)response.StatusCode, Stopwatch.GetElapsedTime(start).TotalSeconds);
        return response;
    }

    private void Tell(HttpRequestMessage request, Exception failure, long start) =>
        LogFailed(log, request.RequestUri!, Stopwatch.GetElapsedTime(start).TotalSeconds, failure.Message);

    [LoggerMessage(Level = LogLevel.Information, Message = "New Relic: {Address} answered {Status} after {Seconds:0.000} s")]
    private static partial void LogSent(ILogger log, Uri address, int status, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "New Relic: {Address} could not be reached, after {Seconds:0.000} s: {Reason}")]
    private static partial void LogFailed(ILogger log, Uri address, double seconds, string reason);
}
