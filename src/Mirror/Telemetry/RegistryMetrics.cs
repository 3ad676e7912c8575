using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.WebUtilities;
using OpenTelemetry.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>
/// All metrics of the mirror: those of <c>registry:3</c> under their own names, and ours under <c>mirror_</c>; see <c>docs/metrics.md</c>.
/// The methods are thread-safe and allocate nothing. While no exporter listens, a call costs a few nanoseconds. No label holds a
/// repository name.
/// </summary>
public sealed class RegistryMetrics
{
    /// <summary>The name of the meter, by which exporters find it.</summary>
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
    private readonly Gauge<long> _orphans;
    private readonly Gauge<long> _storeWritable;
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

        _proxyRequests = Counter("registry_proxy_requests_total", "Pulls of mirrored content answered.");
        _proxyHits = Counter("registry_proxy_hits_total", "Pulls answered with content that was in the cache.");
        _proxyMisses = Counter("registry_proxy_misses_total", "Pulls that had to wait for upstream's bytes.");
        _proxyPulledBytes = Counter("registry_proxy_pulled_bytes_total", "Bytes of content received from upstream.", "By");
        _proxyPushedBytes = Counter("registry_proxy_pushed_bytes_total", "Bytes of mirrored content sent to clients.", "By");

        _inFlight = UpDownCounter("registry_http_in_flight_requests", "Requests being answered now.");
        _requests = Counter("registry_http_requests_total", "Requests answered.");
        _requestSeconds = Seconds("registry_http_request_duration_seconds",
            "Time from the request's headers to the answer's end.", Durations);
        _requestSizes = Bytes("registry_http_request_size_bytes", "Sizes of request bodies.");
        _responseSizes = Bytes("registry_http_response_size_bytes", "Sizes of response bodies.");
        _storageSeconds = Seconds("registry_storage_action_seconds", "Time a storage action took.", Durations[..11]);

        _answers = Counter("mirror_answers_total", "Pulls of mirrored content, by where the answer came from.");
        _upstreamRequests = Counter("mirror_upstream_requests_total", "Requests sent upstream.");
        _upstreamBytes = Counter("mirror_upstream_bytes_total", "Body bytes received from upstream.", "By");
        _upstreamSeconds = Seconds("mirror_upstream_request_seconds", "Time until upstream's response headers, or the error.", Durations);
        _fillsRunning = UpDownCounter("mirror_fills_running", "Downloads from upstream running now.");
        _fillSeconds = Seconds("mirror_fill_seconds", "Time a download from upstream took.", FillDurations);
        _fillClientsJoined = Counter("mirror_fill_clients_joined_total", "Requests that joined a running download.");
        _cacheSize = Gauge("mirror_cache_bytes", "Mirrored blobs that are stored.", "By");
        _evicted = Counter("mirror_cache_evictions_total", "Mirrored blobs removed to make room.");
        _evictedBytes = Counter("mirror_cache_evicted_bytes_total", "Bytes of mirrored blobs removed to make room.", "By");
        _storeWritable = Gauge("mirror_store_writable", "Whether the store took the last write.");
        _orphans = Gauge("mirror_orphaned_repositories", "Repositories with pushed images that the settings no longer host.");
        _held = UpDownCounter("mirror_held_requests", "Requests that wait for an upstream that is away or says later.");
        _upstreamUp = Gauge("mirror_upstream_up", "Whether upstream gave an answer of its own, other than 5xx, when it was asked last.");
        _rateLimit = Gauge("mirror_upstream_ratelimit_limit", "Pulls upstream allows in its window.");
        _rateLimitRemaining = Gauge("mirror_upstream_ratelimit_remaining", "Pulls upstream still allows.");
        _clientAborts = Counter("mirror_client_aborts_total", "Clients that left before their answer's end.");
        _accessLinesDropped = Counter("mirror_access_log_lines_dropped_total",
            "Access log lines given up because their reader stood still.");

        _cacheRequests = Counter("registry_storage_cache_requests_total", "Facts looked up in what replicas share.");
        _cacheHits = Counter("registry_storage_cache_hits_total", "Facts found there and believed.");
        _cacheErrors = Counter("registry_storage_cache_errors_total", "Questions to Redis that failed or had no answer in time.");
        _redisSeconds = Seconds("registry_storage_cache_redis_seconds",
            "Time a question to Redis took.", [.0005, .001, .0025, .. Durations[..8]]);
        _leases = UpDownCounter("mirror_fleet_leases_held", "Digests this replica downloads for all.");
        _forwards = Counter("mirror_fleet_forwards_total", "Requests about an upload passed on to the replica that has it open.");
        _follows = Counter("mirror_fleet_follows_total", "Downloads of another replica that this one followed.");
        _takeovers = Counter("mirror_fleet_takeovers_total", "Times that a replica whose download was followed was lost.");
        _notifications = Counter("registry_notifications_events_total", "Events for an endpoint, by what became of them.");
        _notificationsPending = UpDownCounter("registry_notifications_pending_total", "Events that wait for an endpoint.");
        _notificationAnswers = Counter("registry_notifications_status_total", "Answers of an endpoint.");
    }

    /// <summary>The meter of this instance. In one process several meters can have its name.</summary>
    internal Meter Meter { get; }

    // As in registry:3.
    private static double[] Durations => [.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 60];

    private static double[] FillDurations => [.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600];

    // As in registry:3: 1 KiB to 2 GiB, each the double of the one before.
    private static double[] Sizes => [.. Enumerable.Range(10, 22).Select(power => Math.Pow(2, power))];

    public void RequestStarted(RouteKind kind) => _inFlight.Add(1, Handlers[(int)kind]);

    /// <param name="method">As the client sent it.</param>
    /// <param name="status">As sent, also where the answer was aborted later.</param>
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

    /// <summary>Records the answer to a pull of mirrored content.</summary>
    /// <param name="bytes">Body bytes sent: none for a HEAD or a 304, a part for a range or an aborted answer.</param>
    public void RecordAnswer(ContentKind kind, CacheStatus outcome, long bytes)
    {
        var type = Types[(int)kind];
        _answers.Add(1, type, Outcomes[(int)outcome]);
        _proxyRequests.Add(1, type);
        (outcome.IsHit ? _proxyHits : _proxyMisses).Add(1, type);
        _proxyPushedBytes.Add(bytes, type);
    }

    /// <param name="status">Null where no answer came.</param>
    /// <param name="seconds">Until the headers of the response, or the error.</param>
    public void ObserveUpstreamRequest(UpstreamKind kind, string method, int? status, double seconds)
    {
        var kindTag = UpstreamKinds[(int)kind];
        var statusTag = new Tag("status", status is { } code ? Labels.Status(code) : "error");
        _upstreamRequests.Add(1, kindTag, new Tag("method", Labels.Method(method)), statusTag);
        _upstreamSeconds.Record(seconds, kindTag);
    }

    /// <summary>Records body bytes from upstream: call it for each buffer, or once for each body.</summary>
    public void RecordUpstreamBytes(UpstreamKind kind, long bytes)
    {
        _upstreamBytes.Add(bytes, UpstreamTypes[(int)kind]);
        // registry:3 counts content only, not tokens or lists.
        if (kind is UpstreamKind.Blob)
            _proxyPulledBytes.Add(bytes, Types[(int)ContentKind.Blob]);
        else if (kind is UpstreamKind.Manifest)
            _proxyPulledBytes.Add(bytes, Types[(int)ContentKind.Manifest]);
    }

    public void FillStarted() => _fillsRunning.Add(1);

    /// <param name="completed">Whether all content arrived and was verified.</param>
    public void FillEnded(bool completed, double seconds)
    {
        _fillsRunning.Add(-1);
        _fillSeconds.Record(seconds, completed ? Completed : Failed);
    }

    public void RecordJoin() => _fillClientsJoined.Add(1);

    /// <summary>Records the present size of the cache.</summary>
    public void RecordCacheSize(long bytes) => _cacheSize.Record(bytes);

    /// <summary>Records whether the store takes writes.</summary>
    public void RecordStoreWritable(bool isWritable) => _storeWritable.Record(isWritable ? 1 : 0);

    /// <summary>Records how many repositories have pushed content and are no longer hosted.</summary>
    public void RecordOrphans(int repositories) => _orphans.Record(repositories);

    /// <summary>Records blobs that were evicted (<c>proxy.max_size</c>).</summary>
    public void RecordEvictions(int blobs, long bytes)
    {
        _evicted.Add(blobs);
        _evictedBytes.Add(bytes);
    }

    /// <summary>Counts a request that waits for upstream (<c>proxy.hold</c>), until <see cref="RequestReleased"/>.</summary>
    public void RequestHeld() => _held.Add(1);

    public void RequestReleased() => _held.Add(-1);

    /// <summary>Whether an upstream answered when it was asked last.</summary>
    /// <param name="upstream">The host of a configured upstream, and of no other: it becomes a label.</param>
    public void RecordUpstreamUp(string upstream, bool answered) => _upstreamUp.Record(answered ? 1 : 0, new Tag("upstream", upstream));

    /// <summary>Records the rate limit that upstream reported; null for a value that it did not report.</summary>
    /// <param name="upstream">The host of a configured upstream, and of no other: it becomes a label.</param>
    /// <param name="account">The index of the account among the accounts of the upstream.</param>
    public void RecordRateLimit(string upstream, int account, long? limit, long? remaining)
    {
        var tag = new TagList { new Tag("upstream", upstream), new Tag("account", account) };
        if (limit is { } allowed)
            _rateLimit.Record(allowed, tag);
        if (remaining is { } left)
            _rateLimitRemaining.Record(left, tag);
    }

    /// <param name="endpoint">The configured name of the endpoint: it becomes a label.</param>
    /// <param name="type"><c>Events</c>, <c>Successes</c>, <c>Failures</c> (refused), <c>Errors</c> (no answer), <c>Dropped</c>.</param>
    internal void RecordEvents(string endpoint, string type, long events) =>
        _notifications.Add(events, new Tag("type", type), new Tag("endpoint", endpoint));

    internal void RecordPendingEvents(string endpoint, long more) => _notificationsPending.Add(more, new Tag("endpoint", endpoint));

    internal void RecordEventAnswer(string endpoint, int status)
    {
        var code = $"{status} {ReasonPhrases.GetReasonPhrase(status)}".TrimEnd();
        _notificationAnswers.Add(1, new Tag("code", code), new Tag("endpoint", endpoint));
    }

    public void RecordClientAbort() => _clientAborts.Add(1);

    /// <param name="driver"><c>filesystem</c> or <c>s3aws</c>.</param>
    /// <param name="action">A constant of <see cref="StorageTimer"/>.</param>
    public void ObserveStorageAction(string driver, string action, double seconds) =>
        _storageSeconds.Record(seconds, new Tag("driver", driver), new Tag("action", action));

    /// <summary>Records a lookup in Redis.</summary>
    /// <param name="hit">Whether Redis had a valid value.</param>
    public void RecordCacheLookup(bool hit)
    {
        _cacheRequests.Add(1);
        if (hit)
            _cacheHits.Add(1);
    }

    /// <param name="operation">A constant word.</param>
    public void ObserveRedisCall(string operation, double seconds) => _redisSeconds.Record(seconds, new Tag("operation", operation));

    public void RecordRedisFailure() => _cacheErrors.Add(1);

    public void LeaseTaken() => _leases.Add(1);

    public void LeaseReleased() => _leases.Add(-1);

    public void RecordForward() => _forwards.Add(1);

    public void RecordFollow() => _follows.Add(1);

    public void RecordTakeover() => _takeovers.Add(1);

    internal void RecordDroppedLines(long lines) => _accessLinesDropped.Add(lines);

    /// <summary>A view that drops the meters of other instances: the SDK finds meters by name and would add their numbers.</summary>
    internal MetricStreamConfiguration? DropOthers(Instrument instrument) =>
        instrument.Meter.Name == MeterName && instrument.Meter != Meter ? MetricStreamConfiguration.Drop : null;

    /// <summary>
    /// Shows the counters before their first event, as <c>registry:3</c> does. Prometheus' <c>rate</c> does not see the increment with
    /// which a series appears.
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

    private Counter<long> Counter(string name, string help, string? unit = null) => Meter.CreateCounter<long>(name, unit, help);

    private UpDownCounter<long> UpDownCounter(string name, string help) => Meter.CreateUpDownCounter<long>(name, null, help);

    private Gauge<long> Gauge(string name, string help, string? unit = null) => Meter.CreateGauge<long>(name, unit, help);

    private Histogram<double> Seconds(string name, string help, double[] bounds) => Histogram(name, "s", help, bounds);

    private Histogram<double> Bytes(string name, string help) => Histogram(name, "By", help, Sizes);

    private Histogram<double> Histogram(string name, string unit, string help, double[] bounds) =>
        Meter.CreateHistogram(name, unit, help, null, new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });

    private static Tag[] Tags<T>(string key) where T : struct, Enum => [.. Enum.GetValues<T>().Select(value => new Tag(key, value.Label))];
}
