using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Storage;

namespace Mirror.Maintenance;

/// <summary>Removes pushes that were begun and never finished (<c>storage.maintenance.uploadpurging</c>), now and then.</summary>
public sealed partial class UploadPurging(Uploads uploads, StorageOptions storage, TimeProvider time, ILogger<UploadPurging> log) : BackgroundService
{
    // Replicas that start together, and a start that has better to do.
    private static readonly TimeSpan MaxFirstDelay = TimeSpan.FromMinutes(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var options = storage.Maintenance.UploadPurging;
        if (!options.Enabled || storage.Maintenance.ReadOnly.Enabled || options.Interval <= TimeSpan.Zero)
            return;
        var first = Math.Min(options.Interval.Ticks, MaxFirstDelay.Ticks);
#pragma warning disable CA5394 // Nothing secret about when.
        await Task.Delay(TimeSpan.FromTicks((long)(Random.Shared.NextDouble() * first)), time, stoppingToken);
#pragma warning restore CA5394
        using var timer = new PeriodicTimer(options.Interval, time);
        do
        {
            try
            {
                await PurgeAsync(options, stoppingToken);
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                LogFailed(failure.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task PurgeAsync(UploadPurgingOptions options, CancellationToken stoppingToken)
    {
        await foreach (var upload in uploads.PurgeAsync(time.GetUtcNow() - options.Age, options.DryRun, stoppingToken))
            LogPurged(upload.Id, upload.Name.ToString(), upload.LastWritten, options.DryRun ? "would be removed" : "removed");
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "abandoned upload {Id} to {Name}, last written {LastWritten:u}: {Done}")]
    private partial void LogPurged(Guid id, string name, DateTimeOffset lastWritten, string done);

    [LoggerMessage(Level = LogLevel.Error, Message = "abandoned uploads cannot be removed: {Reason}")]
    private partial void LogFailed(string reason);
}
