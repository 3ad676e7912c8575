using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Stores;

namespace Mirror.Maintenance;

/// <summary>
/// Logs at the start whether the bucket can be used, and once a day deletes uploads and spools that processes left when they died. A bucket
/// that cannot be used does not stop the start: it may come back, and the local cache is served meanwhile.
/// </summary>
public sealed partial class BucketUpkeep(IBucket bucket, ISweepStore leftovers, TimeProvider time, ILogger<BucketUpkeep> log)
    : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromDays(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            try
            {
                await bucket.CheckAsync(stoppingToken);
                if (bucket.ClockFault(time.GetUtcNow()) is { } fault)
                    LogFault(fault);
                if (await bucket.FindElsewhereAsync(stoppingToken) is { } elsewhere)
                    LogFault(elsewhere);
                if (await leftovers.SweepLeftoversAsync(time.GetUtcNow(), dryRun: false, stoppingToken) is { Files: > 0 and var count })
                    LogSwept(count, bucket.Name);
            }
            catch (StoreUnavailableException failure)
            {
                LogUnusable(failure.Message);
            }
            // The scratch folder is on a local disk.
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                LogNotSwept(bucket.Name, failure.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(LogLevel.Information, "deleted {Count} unfinished uploads and spools that earlier processes left for {Bucket}")]
    private partial void LogSwept(int count, string bucket);

    [LoggerMessage(LogLevel.Warning, "{Fault}")]
    private partial void LogFault(string fault);

    [LoggerMessage(LogLevel.Error, "the bucket cannot be used: {Reason}")]
    private partial void LogUnusable(string reason);

    [LoggerMessage(LogLevel.Error,
        "cannot delete the unfinished uploads and spools that earlier processes left for {Bucket}, will try again in a day; check the "
        + "scratch folder (scratchdirectory): {Reason}")]
    private partial void LogNotSwept(string bucket, string reason);
}
