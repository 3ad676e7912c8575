using System.Diagnostics.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>Metrics of the work between replicas, and of the Redis that they share.</summary>
public sealed class FleetMetrics(MirrorMeter meter)
{
    private readonly Counter<long> _cacheRequests = meter.Counter(
        "registry_storage_cache_requests_total", "Facts looked up in what replicas share.");

    private readonly Counter<long> _cacheHits = meter.Counter("registry_storage_cache_hits_total", "Facts found there and believed.");

    private readonly Counter<long> _cacheErrors = meter.ZeroCounter(
        "registry_storage_cache_errors_total", "Requests to Redis that failed or had no answer in time.");

    private readonly Histogram<double> _redisSeconds = meter.Seconds(
        "registry_storage_cache_redis_seconds", "Time a request to Redis took.",
        [.0005, .001, .0025, .. MirrorMeter.Durations[..8]]);

    private readonly UpDownCounter<long> _leases = meter.ZeroUpDownCounter(
        "mirror_fleet_leases_held", "Digests this replica downloads for all.");

    private readonly Counter<long> _forwards = meter.ZeroCounter(
        "mirror_fleet_forwards_total", "Requests about an upload passed on to the replica that has it open.");

    private readonly Counter<long> _follows = meter.ZeroCounter(
        "mirror_fleet_follows_total", "Downloads of another replica that this one followed.");

    private readonly Counter<long> _failedFollows = meter.ZeroCounter(
        "mirror_fleet_takeovers_total", "How often this replica could not read a blob from the replica that it followed.");

    /// <summary>Records a lookup in Redis.</summary>
    /// <param name="hit">Whether Redis had a valid value.</param>
    public void LookedUp(bool hit)
    {
        _cacheRequests.Add(1);
        if (hit)
            _cacheHits.Add(1);
    }

    /// <param name="operation">A constant word.</param>
    public void RedisAnswered(string operation, double seconds) => _redisSeconds.Record(seconds, new Tag("operation", operation));

    public void RedisFailed() => _cacheErrors.Add(1);

    public void LeaseTaken() => _leases.Add(1);

    public void LeaseReleased() => _leases.Add(-1);

    public void Forwarded() => _forwards.Add(1);

    public void Followed() => _follows.Add(1);

    /// <summary>This replica could not read a blob from the replica that it followed, and looks for another source.</summary>
    public void FollowFailed() => _failedFollows.Add(1);
}
