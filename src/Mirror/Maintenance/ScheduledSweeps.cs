using Mirror.Configuration;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage;

namespace Mirror.Maintenance;

/// <summary>Sweeps at the configured interval while the server serves.</summary>
public sealed partial class ScheduledSweeps(Sweeper sweeper, GarbageCollectOptions options, TimeProvider time, ILogger<ScheduledSweeps> log) : BackgroundService
{
    // A server that is restarted daily would never get to a sweep that waits a day.
    private static readonly TimeSpan MaxFirstWait = TimeSpan.FromMinutes(30);

    private static readonly TimeSpan WhenBusy = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Delay(options.Interval < MaxFirstWait ? options.Interval : MaxFirstWait, time, stoppingToken);
        using var timer = new PeriodicTimer(options.Interval, time);
        do
            while (!await SweepAsync(stoppingToken))
                await Task.Delay(WhenBusy, time, stoppingToken);
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    // False where another sweep is running.
    private async Task<bool> SweepAsync(CancellationToken stop)
    {
        var started = time.GetTimestamp();
        try
        {
            var result = await Task.Run(() => sweeper.SweepAsync(new SweepOptions { Grace = options.Grace, DeleteUntagged = options.DeleteUntagged }, null, stop), stop);
            if (result is null)
            {
                LogBusy();
                return false;
            }
            LogSwept(result.Blobs, result.Manifests, result.Bytes, result.Marked, time.GetElapsedTime(started).TotalSeconds);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogFailed(failure);
        }
        return true;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "garbage collection freed {Blobs} blobs, {Manifests} manifests, {Bytes} bytes; {Marked} are in use; it took {Seconds:0.0} s")]
    private partial void LogSwept(int blobs, int manifests, long bytes, int marked, double seconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "the garbage collection waits a minute: another one, or the making of room, is under way")]
    private partial void LogBusy();

    [LoggerMessage(Level = LogLevel.Error, Message = "garbage collection ended early; what it did not get to stays")]
    private partial void LogFailed(Exception failure);
}
