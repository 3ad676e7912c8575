using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;

namespace Mirror.Maintenance;

/// <summary>Collects garbage at the configured interval while the server runs.</summary>
public sealed partial class ScheduledSweeps(
    Sweeper sweeper, RepositoryResolver repositories, GarbageCollectOptions options, TimeProvider time, ILogger<ScheduledSweeps> log)
    : BackgroundService
{
    // Without this limit a server that is restarted daily would never come to a collection whose interval is a day.
    private static readonly TimeSpan MaxFirstDelay = TimeSpan.FromMinutes(30);

    private static readonly TimeSpan RetryDelay = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Delay(options.Interval < MaxFirstDelay ? options.Interval : MaxFirstDelay, time, stoppingToken);
        using var timer = new PeriodicTimer(options.Interval.ForTimer, time);
        do
            while (!await SweepAsync(stoppingToken))
                await Task.Delay(RetryDelay, time, stoppingToken);
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    // False where another collection is running.
    private async Task<bool> SweepAsync(CancellationToken stop)
    {
        var started = time.GetTimestamp();
        var sweep = new SweepOptions
        {
            Grace = options.Grace,
            DeleteUntagged = options.DeleteUntagged,
            IsHosted = repositories.IsHosted,
            IsMirrored = repositories.IsMirrored,
        };
        try
        {
            // On a thread of the pool: on a file system the sweep runs for a long time without waiting.
            if (await Task.Run(() => sweeper.SweepAsync(sweep, null, stop), stop) is not { } result)
            {
                LogBusy();
                return false;
            }
            foreach (var problem in result.Problems)
                LogKept(problem);
            LogSwept(result.Blobs, result.Manifests, result.Bytes, result.Marked, time.GetElapsedTime(started).TotalSeconds);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogFailed(failure);
        }
        return true;
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "garbage collection freed {Blobs} blobs, {Manifests} manifests, {Bytes} bytes in {Seconds:0.0} s; {Marked} digests are in use")]
    private partial void LogSwept(int blobs, int manifests, long bytes, int marked, double seconds);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "the garbage collection kept more than it needed to: {Problem}. See what verify says, and push the image again or delete it")]
    private partial void LogKept(string problem);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "garbage collection postponed for a minute: another collection is running")]
    private partial void LogBusy();

    [LoggerMessage(Level = LogLevel.Error, Message =
        "garbage collection stopped early because the store failed; it runs again at the next interval")]
    private partial void LogFailed(Exception failure);
}
