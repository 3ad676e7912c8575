using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Telemetry;

namespace Mirror.Maintenance;

/// <summary>
/// Keeps the mirrored content within <c>proxy.max_size</c> and <c>proxy.min_free</c> while the server runs, and removes images that no
/// client has pulled for long (<c>policies.unused</c>).
/// </summary>
/// <remarks>
/// The server reads the whole store at the start, every hour, when the list of the oldest images has no more, and when half of the limit
/// was stored since the last time. So it does not read the whole store for each eviction.
/// </remarks>
public sealed partial class Evictions(
    Evictor evictor, CacheSize cache, RepositoryResolver repositories, CachePolicies policies, RemovedManifests removed, TimeProvider time,
    ILogger<Evictions> log)
    : BackgroundService
{
    // Other processes store and delete blobs as well, and this one does not notice this.
    private static readonly TimeSpan MeasureEvery = TimeSpan.FromHours(1);

    // Other programs fill the disk, and policies change.
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(30);

    // While another replica evicts. Downloads of this one may be waiting for room.
    private static readonly TimeSpan BusyRetry = TimeSpan.FromMilliseconds(500);

    // While clients read all images that could be evicted.
    private static readonly TimeSpan StuckRetry = TimeSpan.FromSeconds(10);

    // One call of the store that failed is no reason to let downloads wait for a minute. A store that fails again is left alone longer.
    private static readonly TimeSpan MinFailureRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxFailureRetry = TimeSpan.FromMinutes(1);

    private readonly RareLine _stuck = new(time);
    private CachedImages? _cached;
    private long _measured;
    private TimeSpan _failureRetry = MinFailureRetry;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            if (await Task.Run(() => TryAsync(stoppingToken), stoppingToken) is { } retry)
                await Task.Delay(retry, time, stoppingToken);
            else
                await cache.UntilExceededAsync(LookEvery, stoppingToken);
        }
    }

    // After which time to try again; null where the limit is kept.
    private async Task<TimeSpan?> TryAsync(CancellationToken stop)
    {
        try
        {
            var evicted = await EvictAsync(stop);
            _failureRetry = MinFailureRetry;
            if (evicted is not { } freed)
            {
                // The other replica makes room for the downloads of this one as well.
                cache.LookAgain();
                return BusyRetry;
            }
            var isStuck = freed == 0 && cache.Excess > 0;
            cache.EvictionEnded(isStuck);
            if (isStuck && _stuck.IsDue())
            {
                if (cache.Bytes == 0 && cache.MissingOnVolume > 0)
                    LogNothingLeft();
                else
                    LogStuck();
            }
            return isStuck ? StuckRetry : null;
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            var retry = _failureRetry;
            _failureRetry = 2 * retry < MaxFailureRetry ? 2 * retry : MaxFailureRetry;
            LogFailed(failure, retry.TotalSeconds);
            _cached = null;
            cache.EvictionEnded(isStuck: retry >= StuckRetry);
            return retry;
        }
    }

    // The bytes that were freed; null while another replica evicts.
    private async Task<long?> EvictAsync(CancellationToken stop)
    {
        if (!cache.IsLimited && !policies.AnyUnused)
            return 0;
        var started = time.GetTimestamp();
        var (blobs, freed) = (0, 0L);
        await cache.RefreshAsync();
        // Read it once: not every file system shows at once that room is free.
        var wanted = cache.Excess;
        foreach (var (name, manifest) in removed.Take())
            _cached?.Removed(name, manifest);
        if (!cache.IsMeasured || time.GetElapsedTime(_measured) >= MeasureEvery)
            _cached = null;
        for (var isNew = false; _cached is null || freed < wanted;)
        {
            if (_cached is null || _cached.IsSpent)
            {
                // Clients are reading all images that are left in a new list.
                if (isNew)
                    break;
                if (!await ListCachedAsync(stop))
                    return null;
                isNew = true;
                if (policies.AnyUnused)
                {
                    if (await evictor.EvictUnusedAsync(_cached!, UnusedSince, stop) is not { } unused)
                        return null;
                    Count(unused);
                }
                wanted = freed + cache.Excess;
            }
            else if (await evictor.EvictAsync(_cached, wanted - freed, stop) is not { } evicted)
                return null;
            else
                Count(evicted);
        }
        if (blobs > 0)
            LogEvicted(blobs, freed, cache.Bytes, time.GetElapsedTime(started).TotalSeconds);
        return freed;

        void Count(Eviction evicted) => (blobs, freed) = (blobs + evicted.Blobs, freed + evicted.FreedBytes);
    }

    private DateTimeOffset? UnusedSince(RepositoryName name) => time.GetUtcNow() - policies.Of(name).Unused;

    private async Task<bool> ListCachedAsync(CancellationToken stop)
    {
        await cache.BeginMeasuringAsync();
        var began = time.GetTimestamp();
        if (await evictor.ListCachedAsync(repositories.IsMirrored, stop, isUrgent: cache.Excess > 0) is not { } cached)
            return false;
        (_cached, _measured) = (cached, began);
        await cache.MeasuredAsync(cached);
        return true;
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "evicted {Blobs} least recently used blobs ({Freed} bytes) in {Seconds:0.0} s; {Bytes} bytes of mirrored blobs are left")]
    private partial void LogEvicted(int blobs, long freed, long bytes, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the cache has reached proxy.max_size, or the disk proxy.min_free, and every image that could be evicted is pinned or being "
        + "read: until this changes, clients get new blobs, but the server does not store them")]
    private partial void LogStuck();

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the volume of the storage folder has less room than proxy.min_free, and no mirrored blob is left that could be evicted: other "
        + "files fill the volume. New blobs are sent to their clients and not kept until it has more room: delete other files, or lower "
        + "proxy.min_free")]
    private partial void LogNothingLeft();

    [LoggerMessage(Level = LogLevel.Error, Message = "an eviction of mirrored blobs failed; this server tries again in {Seconds} s")]
    private partial void LogFailed(Exception failure, double seconds);
}
