using System.Diagnostics.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>Metrics of the store: the time of its actions, its size, and whether it takes writes.</summary>
public sealed class StoreMetrics(MirrorMeter meter)
{
    private readonly Histogram<double> _seconds = meter.Seconds(
        "registry_storage_action_seconds", "Time a storage action took.", MirrorMeter.Durations[..11]);

    private readonly Gauge<long> _writable = meter.Gauge("mirror_store_writable", "Whether the store took the last write.");

    private readonly Gauge<long> _orphans = meter.Gauge(
        "mirror_orphaned_repositories", "Repositories with pushed images that the settings no longer host.");

    private readonly Gauge<long> _cacheBytes = meter.Gauge("mirror_cache_bytes", "Mirrored blobs that are stored.", "By");

    private readonly Gauge<long> _cacheLimit = meter.Gauge(
        "mirror_cache_limit_bytes", "The limit of mirrored blobs, proxy.max_size.", "By");

    private readonly Gauge<long> _imageBytes = meter.Gauge("mirror_image_bytes", "Stored bytes of the images of an upstream.", "By");

    private readonly Counter<long> _evicted = meter.ZeroCounter(
        "mirror_cache_evictions_total", "Mirrored blobs removed to make room.");

    private readonly Counter<long> _evictedBytes = meter.ZeroCounter(
        "mirror_cache_evicted_bytes_total", "Bytes of mirrored blobs removed to make room.", "By");

    private readonly Counter<long> _interruptedDeleted = meter.ZeroCounter(
        "mirror_interrupted_deleted_total", "Interrupted downloads and uploads deleted to stay within their bounds.");

    private readonly Counter<long> _notKept = meter.ZeroCounter(
        "mirror_cache_not_kept_total", "Mirrored blobs that were not stored because the cache had no room.");

    /// <param name="driver">The kind of store, such as <c>filesystem</c> or <c>s3aws</c>.</param>
    /// <param name="action">A constant of <see cref="StorageTimer"/>.</param>
    public void Acted(string driver, string action, double seconds) =>
        _seconds.Record(seconds, new Tag("driver", driver), new Tag("action", action));

    /// <summary>Records whether the store takes writes.</summary>
    public void IsWritable(bool isWritable) => _writable.Record(isWritable ? 1 : 0);

    /// <summary>Records interrupted downloads and uploads that were deleted to stay within their bounds.</summary>
    public void InterruptedDeleted(int count) => _interruptedDeleted.Add(count);

    /// <summary>Records how many repositories have pushed content and are no longer hosted.</summary>
    public void Orphans(int repositories) => _orphans.Record(repositories);

    /// <summary>Records the present size of the cache, and its limit; null for no limit.</summary>
    public void CacheSize(long bytes, long? limit)
    {
        _cacheBytes.Record(bytes);
        if (limit is { } max)
            _cacheLimit.Record(max);
    }

    /// <summary>Records the stored bytes of the images of an upstream.</summary>
    /// <param name="upstream">The label of a configured upstream.</param>
    public void Images(string upstream, long bytes) => _imageBytes.Record(bytes, new Tag("upstream", upstream));

    /// <summary>Shows how many tags are held, by a function that is called when metrics are read. Call it once.</summary>
    public void ObserveHeldTags(Func<(int Kept, int Cooling)> read) => meter.Meter.CreateObservableGauge(
        "mirror_held_tags",
        () =>
        {
            var (kept, cooling) = read();
            return (Measurement<int>[])
                [new(kept, new Tag("reason", "kept")), new(cooling, new Tag("reason", "cooldown"))];
        },
        null, "Tags that name another manifest than upstream's, as far as their last check told.");

    /// <summary>Records blobs that were evicted (<c>proxy.max_size</c>).</summary>
    public void Evicted(int blobs, long bytes)
    {
        _evicted.Add(blobs);
        _evictedBytes.Add(bytes);
    }

    /// <summary>Records a blob that was sent to clients but not stored, because the cache had no room (<c>proxy.max_size</c>).</summary>
    public void NotKept() => _notKept.Add(1);
}
