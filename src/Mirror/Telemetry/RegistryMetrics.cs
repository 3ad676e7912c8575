using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.WebUtilities;
using OpenTelemetry.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>
/// Every number the mirror keeps of itself: <c>registry:3</c>'s metrics under their own names, ours beside them under
/// <c>mirror_</c>. What each means is in <c>docs/metrics.md</c>. Safe from any thread; nothing is allocated per call, and
/// without a listener a call costs a few nanoseconds. No label ever holds a repository name.
/// </summary>
public sealed class RegistryMetrics
{
    /// <summary>The name to listen to.</summary>
    public const string MeterName = "Mirror";

    private static readonly Tag[] Handlers = Tags<RouteKind>("handler");
    private static readonly Tag[] Types = Tags<ContentKind>("type");
    private static readonly Tag[] Outcomes = Tags<CacheStatus>("outcome");
    private static readonly Tag[] UpstreamKinds = Tags<UpstreamKind>("kind");
    private static readonly Tag[] UpstreamTypes = Tags<UpstreamKind>("type");
    private static readonly Tag Completed = new("outcome", "completed");
    private static readonly Tag Failed = new("outcome", "failed");

    private readonly Counter<long> _proxyRequests;
    private readonly Counter<long> _proxyHits;
    private readonly Counter<long> _proxyMisses;
    private readonly Counter<long> _proxyPulledBytes;
    private readonly Counter<long> _proxyPushedBytes;
    private readonly UpDownCounter<long> _inFlight;
    private readonly Counter<long> _requests;
    private readonly Histogram<double> _requestSeconds;
    private readonly Histogram<double> _requestSizes;
    private readonly Histogram<double> _responseSizes;
    private readonly Histogram<double> _storageSeconds;
    private readonly Counter<long> _answers;
    private readonly Counter<long> _upstreamRequests;
    private readonly Counter<long> _upstreamBytes;
    private readonly Histogram<double> _upstreamSeconds;
    private readonly UpDownCounter<long> _fillsRunning;
    private readonly Histogram<double> _fillSeconds;
    private readonly Counter<long> _fillClientsJoined;
    private readonly Gauge<long> _cacheSize;
    private readonly Counter<long> _evicted;
    private readonly Counter<long> _evictedBytes;
    private readonly UpDownCounter<long> _held;
    private readonly Gauge<long> _upstreamUp;
    private readonly Gauge<long> _rateLimit;
    private readonly Gauge<long> _rateLimitRemaining;
    private readonly Counter<long> _clientAborts;
    private readonly Counter<long> _accessLinesDropped;
    private readonly Counter<long> _cacheRequests;
    private readonly Counter<long> _cacheHits;
    private readonly Counter<long> _cacheErrors;
    private readonly Histogram<double> _redisSeconds;
    private readonly UpDownCounter<long> _leases;
    private readonly Counter<long> _forwards;
    private readonly Counter<long> _follows;
    private readonly Counter<long> _takeovers;
    private readonly Counter<long> _notifications;
    private readonly UpDownCounter<long> _notificationsPending;
    private readonly Counter<long> _notificationAnswers;

    public RegistryMetrics(IMeterFactory meters)
    {
        Meter = meters.Create(MeterName);

        _proxyRequests = Meter.CreateCounter<long>("registry_proxy_requests_total", null, "Pulls of mirrored content answered.");
        _proxyHits = Meter.CreateCounter<long>("registry_proxy_hits_total", null, "Pulls answered with content that was in the cache.");
        _proxyMisses = Meter.CreateCounter<long>("registry_proxy_misses_total", null, "Pulls that had to wait for upstream's bytes.");
        _proxyPulledBytes = Meter.CreateCounter<long>("registry_proxy_pulled_bytes_total", "By", "Bytes of content received from upstream.");
        _proxyPushedBytes = Meter.CreateCounter<long>("registry_proxy_pushed_bytes_total", "By", "Bytes of mirrored content sent to clients.");

        _inFlight = Meter.CreateUpDownCounter<long>("registry_http_in_flight_requests", null, "Requests being answered now.");
        _requests = Meter.CreateCounter<long>("registry_http_requests_total", null, "Requests answered.");
        _requestSeconds = Seconds("registry_http_request_duration_seconds", "Time from the request's headers to the answer's end.", Durations);
        _requestSizes = Bytes("registry_http_request_size_bytes", "Sizes of request bodies.");
        _responseSizes = Bytes("registry_http_response_size_bytes", "Sizes of response bodies.");
        _storageSeconds = Seconds("registry_storage_action_seconds", "Time a storage action took.", Durations[..11]);

        _answers = Meter.CreateCounter<long>("mirror_answers_total", null, "Pulls of mirrored content, by where the answer came from.");
        _upstreamRequests = Meter.CreateCounter<long>("mirror_upstream_requests_total", null, "Requests sent upstream.");
        _upstreamBytes = Meter.CreateCounter<long>("mirror_upstream_bytes_total", "By", "Body bytes received from upstream.");
        _upstreamSeconds = Seconds("mirror_upstream_request_seconds", "Time until upstream's response headers, or the error.", Durations);
        _fillsRunning = Meter.CreateUpDownCounter<long>("mirror_fills_running", null, "Downloads from upstream running now.");
        _fillSeconds = Seconds("mirror_fill_seconds", "Time a download from upstream took.", FillDurations);
        _fillClientsJoined = Meter.CreateCounter<long>("mirror_fill_clients_joined_total", null, "Requests that joined a running download.");
        _cacheSize = Meter.CreateGauge<long>("mirror_cache_bytes", "By", "Mirrored blobs that are stored.");
        _evicted = Meter.CreateCounter<long>("mirror_cache_evictions_total", null, "Mirrored blobs removed to make room.");
        _evictedBytes = Meter.CreateCounter<long>("mirror_cache_evicted_bytes_total", "By", "Bytes of mirrored blobs removed to make room.");
        _held = Meter.CreateUpDownCounter<long>("mirror_held_requests", null, "Requests that wait for an upstream that is away or says later.");
        _upstreamUp = Meter.CreateGauge<long>("mirror_upstream_up", null, "Whether upstream gave an answer of its own, other than 5xx, when it was asked last.");
        _rateLimit = Meter.CreateGauge<long>("mirror_upstream_ratelimit_limit", null, "Pulls upstream allows in its window.");
        _rateLimitRemaining = Meter.CreateGauge<long>("mirror_upstream_ratelimit_remaining", null, "Pulls upstream still allows.");
        _clientAborts = Meter.CreateCounter<long>("mirror_client_aborts_total", null, "Clients that left before their answer's end.");
        _accessLinesDropped = Meter.CreateCounter<long>("mirror_access_log_lines_dropped_total", null, "Access log lines given up because their reader stood still.");

        _cacheRequests = Meter.CreateCounter<long>("registry_storage_cache_requests_total", null, "Facts looked up in what replicas share.");
        _cacheHits = Meter.CreateCounter<long>("registry_storage_cache_hits_total", null, "Facts found there and believed.");
        _cacheErrors = Meter.CreateCounter<long>("registry_storage_cache_errors_total", null, "Questions to Redis that failed or had no answer in time.");
        _redisSeconds = Seconds("registry_storage_cache_redis_seconds", "Time a question to Redis took.", [.0005, .001, .0025, .. Durations[..8]]);
        _leases = Meter.CreateUpDownCounter<long>("mirror_fleet_leases_held", null, "Digests this replica downloads for all.");
        _forwards = Meter.CreateCounter<long>("mirror_fleet_forwards_total", null, "Requests about an upload passed on to the replica that has it open.");
        _follows = Meter.CreateCounter<long>("mirror_fleet_follows_total", null, "Downloads of another replica that this one followed.");
        _takeovers = Meter.CreateCounter<long>("mirror_fleet_takeovers_total", null, "Times that a replica whose download was followed was lost.");
        _notifications = Meter.CreateCounter<long>("registry_notifications_events_total", null, "Events for an endpoint, by what became of them.");
        _notificationsPending = Meter.CreateUpDownCounter<long>("registry_notifications_pending_total", null, "Events that wait for an endpoint.");
        _notificationAnswers = Meter.CreateCounter<long>("registry_notifications_status_total", null, "Answers of an endpoint.");
    }

    /// <summary>This instance's own meter: several may bear its name in one process.</summary>
    internal Meter Meter { get; }

    // registry:3's own.
    private static double[] Durations => [.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 60];

    private static double[] FillDurations => [.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600];

    // registry:3's own: 1 KiB to 2 GiB, each the double of the one before.
    private static double[] Sizes => [.. Enumerable.Range(10, 22).Select(power => Math.Pow(2, power))];

    public void RequestStarted(RouteKind kind) => _inFlight.Add(1, Handlers[(int)kind]);

    /// <param name="method">As the client wrote it.</param>
    /// <param name="status">As sent; for an aborted answer, the one that had been begun.</param>
    /// <param name="requestBytes">Body bytes received.</param>
    /// <param name="responseBytes">Body bytes sent.</param>
    public void RequestEnded(RouteKind kind, string method, int status, double seconds, long requestBytes, long responseBytes)
    {
        var handlerTag = Handlers[(int)kind];
        var methodTag = new Tag("method", Labels.Method(method));
        _inFlight.Add(-1, handlerTag);
        _requests.Add(1, handlerTag, new Tag("code", Labels.Status(status)), methodTag);
        _requestSeconds.Record(seconds, handlerTag, methodTag);
        _requestSizes.Record(requestBytes, handlerTag);
        _responseSizes.Record(responseBytes, handlerTag);
    }

    /// <summary>A pull of mirrored content was answered.</summary>
    /// <param name="bytes">Body bytes sent: none for a HEAD or a 304, fewer than the whole for a range or an abort.</param>
    public void Answered(ContentKind kind, CacheStatus outcome, long bytes)
    {
        var type = Types[(int)kind];
        _answers.Add(1, type, Outcomes[(int)outcome]);
        _proxyRequests.Add(1, type);
        (outcome.IsHit ? _proxyHits : _proxyMisses).Add(1, type);
        _proxyPushedBytes.Add(bytes, type);
    }

    /// <param name="method">As sent.</param>
    /// <param name="status">Null where no answer came.</param>
    /// <param name="seconds">Until the response's headers, or the error.</param>
    public void UpstreamAnswered(UpstreamKind kind, string method, int? status, double seconds)
    {
        var kindTag = UpstreamKinds[(int)kind];
        var statusTag = new Tag("status", status is { } code ? Labels.Status(code) : "error");
        _upstreamRequests.Add(1, kindTag, new Tag("method", Labels.Method(method)), statusTag);
        _upstreamSeconds.Record(seconds, kindTag);
    }

    /// <summary>Body bytes arrived from upstream. Call it per buffer or per body; only the sum is kept.</summary>
    public void UpstreamBytes(UpstreamKind kind, long bytes)
    {
        _upstreamBytes.Add(bytes, UpstreamTypes[(int)kind]);
        // registry:3 counts content only: neither tokens nor lists.
        if (kind is UpstreamKind.Blob)
            _proxyPulledBytes.Add(bytes, Types[(int)ContentKind.Blob]);
        else if (kind is UpstreamKind.Manifest)
            _proxyPulledBytes.Add(bytes, Types[(int)ContentKind.Manifest]);
    }

    public void FillStarted() => _fillsRunning.Add(1);

    /// <param name="completed">True when the content was verified and given to the clients whole.</param>
    public void FillEnded(bool completed, double seconds)
    {
        _fillsRunning.Add(-1);
        _fillSeconds.Record(seconds, completed ? Completed : Failed);
    }

    public void ClientJoined() => _fillClientsJoined.Add(1);

    /// <summary>How much mirrored content there is now, as far as is known.</summary>
    public void CacheSize(long bytes) => _cacheSize.Record(bytes);

    /// <summary>Blobs made room (<c>proxy.max_size</c>).</summary>
    public void Evicted(int blobs, long bytes)
    {
        _evicted.Add(blobs);
        _evictedBytes.Add(bytes);
    }

    /// <summary>A request is kept waiting (<c>proxy.hold</c>), until <see cref="RequestLetGo"/>.</summary>
    public void RequestHeld() => _held.Add(1);

    public void RequestLetGo() => _held.Add(-1);

    /// <summary>Whether an upstream answered when it was asked last.</summary>
    /// <param name="upstream">The configured upstream's host. Configured ones only: it becomes a label.</param>
    public void UpstreamUp(string upstream, bool answered) => _upstreamUp.Record(answered ? 1 : 0, new Tag("upstream", upstream));

    /// <summary>What upstream last said of its rate limit; null where it did not say.</summary>
    /// <param name="upstream">The configured upstream's host. Configured ones only: it becomes a label.</param>
    /// <param name="account">The account's place among the upstream's.</param>
    public void RateLimit(string upstream, int account, long? limit, long? remaining)
    {
        var tag = new TagList { new Tag("upstream", upstream), new Tag("account", account) };
        if (limit is { } allowed)
            _rateLimit.Record(allowed, tag);
        if (remaining is { } left)
            _rateLimitRemaining.Record(left, tag);
    }

    /// <param name="endpoint">Its configured name: it becomes a label.</param>
    /// <param name="type">A constant word: <c>Events</c>, <c>Successes</c>, <c>Failures</c> (answers), <c>Errors</c> (no answer), and ours, <c>Dropped</c>.</param>
    internal void NotificationsCounted(string endpoint, string type, long events) =>
        _notifications.Add(events, new Tag("type", type), new Tag("endpoint", endpoint));

    internal void NotificationsWaiting(string endpoint, long more) => _notificationsPending.Add(more, new Tag("endpoint", endpoint));

    internal void NotificationAnswered(string endpoint, int status) =>
        _notificationAnswers.Add(1, new Tag("code", $"{status} {ReasonPhrases.GetReasonPhrase(status)}".TrimEnd()), new Tag("endpoint", endpoint));

    public void ClientAborted() => _clientAborts.Add(1);

    /// <param name="driver"><c>filesystem</c>, <c>s3</c> and so on, as in the configuration.</param>
    /// <param name="action">A constant word of the store's, such as <c>Stat</c> or <c>PutContent</c>.</param>
    public void StorageAction(string driver, string action, double seconds) =>
        _storageSeconds.Record(seconds, new Tag("driver", driver), new Tag("action", action));

    /// <summary>A fact was looked up in what replicas share.</summary>
    /// <param name="hit">Whether it was there and could be believed.</param>
    public void SharedFact(bool hit)
    {
        _cacheRequests.Add(1);
        if (hit)
            _cacheHits.Add(1);
    }

    /// <param name="operation">A constant word.</param>
    public void RedisAsked(string operation, double seconds) => _redisSeconds.Record(seconds, new Tag("operation", operation));

    public void RedisFailed() => _cacheErrors.Add(1);

    public void LeaseTaken() => _leases.Add(1);

    public void LeaseGiven() => _leases.Add(-1);

    public void Forwarded() => _forwards.Add(1);

    public void Followed() => _follows.Add(1);

    public void TakenOver() => _takeovers.Add(1);

    internal void AccessLinesDropped(long lines) => _accessLinesDropped.Add(lines);

    /// <summary>A view for the SDK, which listens by name alone: another instance's numbers would be added to these.</summary>
    internal MetricStreamConfiguration? DropOthers(Instrument instrument) =>
        instrument.Meter.Name == MeterName && instrument.Meter != Meter ? MetricStreamConfiguration.Drop : null;

    /// <summary>
    /// Shows the counters before their first event, as registry:3 does: a rate over a series that appears with its first
    /// increment does not see that increment.
    /// </summary>
    internal void StartAtZero()
    {
        foreach (var type in Types)
        {
            _proxyRequests.Add(0, type);
            _proxyHits.Add(0, type);
            _proxyMisses.Add(0, type);
            _proxyPulledBytes.Add(0, type);
            _proxyPushedBytes.Add(0, type);
            foreach (var outcome in Outcomes)
                _answers.Add(0, type, outcome);
        }
        _fillsRunning.Add(0);
        _fillClientsJoined.Add(0);
        _held.Add(0);
        _clientAborts.Add(0);
        _accessLinesDropped.Add(0);
        _cacheErrors.Add(0);
        _leases.Add(0);
        _forwards.Add(0);
        _follows.Add(0);
        _takeovers.Add(0);
    }

    private Histogram<double> Seconds(string name, string description, double[] bounds) => Histogram(name, "s", description, bounds);

    private Histogram<double> Bytes(string name, string description) => Histogram(name, "By", description, Sizes);

    private Histogram<double> Histogram(string name, string unit, string description, double[] bounds) =>
        Meter.CreateHistogram(name, unit, description, null, new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });

    private static Tag[] Tags<T>(string key) where T : struct, Enum => [.. Enum.GetValues<T>().Select(value => new Tag(key, value.Label))];
}
