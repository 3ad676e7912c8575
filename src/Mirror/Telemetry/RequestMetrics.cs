using System.Diagnostics.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>Metrics of clients' requests, and of the sources of the answers.</summary>
public sealed class RequestMetrics
{
    private static readonly Tag[] Handlers = Labels.Tags<RouteKind>("handler");

    private readonly AnswerCounts _answers;
    private readonly UpDownCounter<long> _inFlight;
    private readonly Counter<long> _requests;
    private readonly Histogram<double> _requestSeconds;
    private readonly Histogram<double> _requestSizes;
    private readonly Histogram<double> _responseSizes;
    private readonly Counter<long> _clientAborts;
    private readonly Counter<long> _accessLinesDropped;

    public RequestMetrics(MirrorMeter meter)
    {
        _answers = new AnswerCounts(meter);
        _inFlight = meter.UpDownCounter("registry_http_in_flight_requests", "Requests being answered now.");
        _requests = meter.Counter("registry_http_requests_total", "Requests answered.");
        _requestSeconds = meter.Seconds(
            "registry_http_request_duration_seconds", "Time from the request's headers to the answer's end.", MirrorMeter.Durations);
        _requestSizes = meter.Histogram("registry_http_request_size_bytes", "By", "Sizes of request bodies.", Sizes);
        _responseSizes = meter.Histogram("registry_http_response_size_bytes", "By", "Sizes of response bodies.", Sizes);
        _clientAborts = meter.ZeroCounter("mirror_client_aborts_total", "Clients that left before their answer's end.");
        _accessLinesDropped = meter.ZeroCounter(
            "mirror_access_log_lines_dropped_total", "Access log lines given up because their reader stood still.");
    }

    // As in registry:3: 1 KiB to 2 GiB, each the double of the one before.
    private static double[] Sizes => [.. Enumerable.Range(10, 22).Select(power => Math.Pow(2, power))];

    public void Started(RouteKind kind) => _inFlight.Add(1, Handlers[(int)kind]);

    /// <param name="method">As the client sent it.</param>
    /// <param name="status">As sent, also where the answer was aborted later.</param>
    /// <param name="requestBytes">Body bytes received.</param>
    /// <param name="responseBytes">Body bytes sent.</param>
    public void Ended(RouteKind kind, string method, int status, double seconds, long requestBytes, long responseBytes)
    {
        var handlerTag = Handlers[(int)kind];
        var methodTag = new Tag("method", Labels.Method(method));
        _inFlight.Add(-1, handlerTag);
        _requests.Add(1, handlerTag, new Tag("code", Labels.Status(status)), methodTag);
        _requestSeconds.Record(seconds, handlerTag, methodTag);
        _requestSizes.Record(requestBytes, handlerTag);
        _responseSizes.Record(responseBytes, handlerTag);
    }

    /// <summary>Records the answer to a pull of mirrored content.</summary>
    /// <param name="bytes">Body bytes sent: none for a HEAD or a 304, a part for a range or an aborted answer.</param>
    public void Answered(ContentKind kind, CacheStatus outcome, long bytes) => _answers.Add(kind, outcome, bytes);

    /// <summary>The answers to pulls of mirrored content so far.</summary>
    public AnswerTotals Answers => _answers.Totals;

    /// <summary>Counts a client that left before the end of its answer.</summary>
    public void Aborted() => _clientAborts.Add(1);

    internal void LinesDropped(long lines) => _accessLinesDropped.Add(lines);
}
