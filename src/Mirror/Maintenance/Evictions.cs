using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Telemetry;

namespace Mirror.Maintenance;

/// <summary>Keeps the mirrored content within <c>proxy.max_size</c> while the server runs.</summary>
public sealed partial class Evictions(
    Evictor evictor, UnmarkedContent unmarked, CacheSize cache, RepositoryResolver repositories, StoreMetrics metrics, TimeProvider time,
    ILogger<Evictions> log)
    : BackgroundService
{
    // Other processes store and delete blobs as well, and this one does not learn of it.
    private static readonly TimeSpan MeasureEvery = TimeSpan.FromHours(1);

    private static readonly TimeSpan RetryDelay = TimeSpan.FromMinutes(1);

    private long? _settled;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            if (await IsWithinAsync(stoppingToken))
                await cache.UntilExceededAsync(MeasureEvery, stoppingToken);
            else
                await Task.Delay(RetryDelay, time, stoppingToken);
        }
    }

    private async Task<bool> IsWithinAsync(CancellationToken stop)
    {
        cache.BeginCount();
        var started = time.GetTimestamp();
        try
        {
            var isSettled = await Task.Run(() => SettleAsync(stop), stop);
            if (await Task.Run(() => evictor.EvictAsync(cache.MaxBytes!.Value, repositories.IsMirrored, stop), stop) is not { } evicted)
                return false;
            cache.Counted(evicted.Bytes);
            metrics.Evicted(evicted.Blobs, evicted.Freed);
            if (evicted.Blobs > 0)
                LogEvicted(evicted.Blobs, evicted.Freed, evicted.Bytes, time.GetElapsedTime(started).TotalSeconds);
            if (evicted.Bytes > cache.MaxBytes)
                LogStillFull(evicted.Bytes, cache.MaxBytes.Value);
            return isSettled && evicted.Bytes <= cache.MaxBytes;
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogFailed(failure);
            return false;
        }
    }

    // What this version stores is marked. Other programs write to the store as well, and this process does not learn of it.
    private async Task<bool> SettleAsync(CancellationToken stop)
    {
        if (_settled is { } last && time.GetElapsedTime(last) < MeasureEvery)
            return true;
        var now = time.GetTimestamp();
        if (!await unmarked.MarkAsync(stop))
            return false;
        _settled = now;
        return true;
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "evicted {Blobs} least recently used blobs ({Freed} bytes) in {Seconds:0.0} s; cache is now {Bytes} bytes")]
    private partial void LogEvicted(int blobs, long freed, long bytes, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "cache has {Bytes} bytes, proxy.max_size is {MaxBytes}, but its blobs were used too recently; will try again in a minute")]
    private partial void LogStillFull(long bytes, long maxBytes);

    [LoggerMessage(Level = LogLevel.Error, Message = "eviction of mirrored blobs failed; will try again in a minute")]
    private partial void LogFailed(Exception failure);
}
