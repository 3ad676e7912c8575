using Mirror.Storage;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Stores;

namespace Mirror.Maintenance;

/// <summary>
/// Says at the start whether the bucket can be used, and once a day removes what processes left behind when they died, in the
/// bucket and in the scratch folder. A bucket that
/// cannot be used does not stop the start: it may come back, and what is local is served meanwhile.
/// </summary>
public sealed partial class BucketUpkeep(S3Bucket bucket, ISweepStore leftovers, TimeProvider time, ILogger<BucketUpkeep> log) : BackgroundService
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
                if (await leftovers.SweepLeftoversAsync(time.GetUtcNow(), dryRun: false, stoppingToken) is { Files: > 0 and var count })
                    LogSwept(count, bucket.Name);
            }
            catch (StoreUnavailableException failure)
            {
                LogUnusable(failure.Message);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken).AsTask().ContinueWith(static tick => tick.IsCompletedSuccessfully && tick.Result, TaskScheduler.Default));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "removed {Count} unfinished uploads to {Bucket} and scratch files of processes that ended")]
    private partial void LogSwept(int count, string bucket);

    [LoggerMessage(Level = LogLevel.Error, Message = "the store cannot be used: {Reason}")]
    private partial void LogUnusable(string reason);
}
