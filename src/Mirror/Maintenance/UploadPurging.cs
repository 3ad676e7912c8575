using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Storage;

namespace Mirror.Maintenance;

/// <summary>Deletes abandoned uploads at an interval (<c>storage.maintenance.uploadpurging</c>).</summary>
public sealed partial class UploadPurging(Uploads uploads, StorageOptions storage, TimeProvider time, ILogger<UploadPurging> log)
    : BackgroundService
{
    // A random part of this passes before the first purge: replicas that start together do not purge together, and a start is not slowed
    // down.
    private static readonly TimeSpan MaxFirstDelay = TimeSpan.FromMinutes(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var options = storage.Maintenance.UploadPurging;
        if (!options.Enabled || storage.Maintenance.ReadOnly.Enabled || options.Interval <= TimeSpan.Zero)
            return;
#pragma warning disable CA5394 // The moment of a purge is no secret.
        var delay = Random.Shared.NextDouble() * (options.Interval < MaxFirstDelay ? options.Interval : MaxFirstDelay);
#pragma warning restore CA5394
        await Task.Delay(delay, time, stoppingToken);
        using var timer = new PeriodicTimer(options.Interval.ForTimer, time);
        do
        {
            try
            {
                await foreach (var upload in uploads.PurgeAsync(time.GetUtcNow() - options.Age, options.DryRun, stoppingToken))
                    LogPurged(upload.Id, upload.Name.ToString(), upload.LastWritten, options.DryRun ? "would be deleted" : "deleted");
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                LogFailed(failure.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "abandoned upload {Id} to {Name}, last written {LastWritten:u}: {Done}")]
    private partial void LogPurged(Guid id, string name, DateTimeOffset lastWritten, string done);

    [LoggerMessage(Level = LogLevel.Error, Message = "cannot delete abandoned uploads, will try again at the next interval: {Reason}")]
    private partial void LogFailed(string reason);
}
