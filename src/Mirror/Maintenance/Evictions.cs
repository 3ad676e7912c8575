using Mirror.PullThrough;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Maintenance;

/// <summary>Keeps the mirrored content within <c>proxy.max_size</c> while the server serves.</summary>
public sealed partial class Evictions(
    Evictor evictor, CacheSize cache, RepositoryResolver repositories, RegistryMetrics metrics, TimeProvider time, ILogger<Evictions> log) : BackgroundService
{
    // Other processes store and sweep as well, and tell nobody.
    private static readonly TimeSpan CountAgain = TimeSpan.FromHours(1);

    private static readonly TimeSpan WhenNot = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            if (await IsWithinAsync(stoppingToken))
                await cache.UntilExceededAsync(CountAgain, stoppingToken);
            else
                await Task.Delay(WhenNot, time, stoppingToken);
        }
    }

    private async Task<bool> IsWithinAsync(CancellationToken stop)
    {
        cache.BeginCount();
        var started = time.GetTimestamp();
        try
        {
            if (await Task.Run(() => evictor.EvictAsync(cache.Most!.Value, repositories.IsMirrored, stop), stop) is not { } evicted)
                return false;
            cache.Counted(evicted.Bytes);
            metrics.Evicted(evicted.Blobs, evicted.Freed);
            if (evicted.Blobs > 0)
                LogEvicted(evicted.Blobs, evicted.Freed, evicted.Bytes, time.GetElapsedTime(started).TotalSeconds);
            if (evicted.Bytes > cache.Most)
                LogStillFull(evicted.Bytes, cache.Most.Value);
            return evicted.Bytes <= cache.Most;
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogFailed(failure);
            return false;
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Blobs} blobs that were not used for longest made room: {Freed} bytes; {Bytes} bytes of mirrored blobs are here; it took {Seconds:0.0} s")]
    private partial void LogEvicted(int blobs, long freed, long bytes, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Bytes} bytes of mirrored blobs are here, proxy.max_size is {Most}, and none of them may go just now")]
    private partial void LogStillFull(long bytes, long most);

    [LoggerMessage(Level = LogLevel.Error, Message = "no room could be made for mirrored content")]
    private partial void LogFailed(Exception failure);
}
