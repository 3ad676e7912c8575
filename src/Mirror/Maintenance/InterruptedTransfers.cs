using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Storage;
using Mirror.Storage.Disk;
using Mirror.Storage.Spooling;
using Mirror.Telemetry;

namespace Mirror.Maintenance;

/// <summary>
/// Limits the number and the bytes of interrupted downloads and uploads: it deletes the oldest first. It deletes no file that a process has
/// open, and none that was written in the last ten minutes: a client that lost its connection may come back.
/// </summary>
public sealed partial class InterruptedTransfers(
    InterruptedSpools spools, Uploads uploads, StorageOptions storage, StoreMetrics metrics, TimeProvider time,
    ILogger<InterruptedTransfers> log) : BackgroundService
{
    /// <summary>The largest number of interrupted downloads, and that of interrupted uploads.</summary>
    public const int MaxOfEach = 200;

    // All of them together may have this part of the disk, and no more than what is still free.
    private const int PartOfDisk = 10;

    private static readonly TimeSpan MinIdle = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(15);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            try
            {
                // On a thread of the pool: to list files does not wait.
                await Task.Run(() => TrimAsync(stoppingToken), stoppingToken);
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                LogFailed(failure.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task TrimAsync(CancellationToken stop)
    {
        var before = time.GetUtcNow() - MinIdle;
        List<Idle> idle =
        [
            .. spools.List().Select(spool => new Idle(
                true, spool.Length, spool.LastWritten, () => ValueTask.FromResult(InterruptedSpools.Delete(spool)))),
        ];
        if (storage.Maintenance is { UploadPurging: { Enabled: true, DryRun: false }, ReadOnly.Enabled: false })
            await foreach (var upload in uploads.ListAsync(stop))
                idle.Add(new Idle(
                    false, upload.Length, upload.LastWritten, () => uploads.DeleteIdleAsync(upload, before, CancellationToken.None)));
        idle.RemoveAll(one => one.LastWritten >= before);
        if (idle.Count == 0)
            return;
        idle.Sort((one, other) => one.LastWritten.CompareTo(other.LastWritten));

        var bytes = idle.Sum(one => one.Length);
        var free = VolumeRoom.Of(storage.LocalDirectory).Bytes;
        var maxBytes = Math.Min(new DriveInfo(storage.LocalDirectory).TotalSize / PartOfDisk, (free + bytes) / 2);
        var (downloads, pushes) = (idle.Count(one => one.IsDownload), idle.Count(one => !one.IsDownload));
        var (deletedDownloads, deletedPushes, freed) = (0, 0, 0L);
        foreach (var oldest in idle)
        {
            var isTooMany = oldest.IsDownload ? downloads - deletedDownloads > MaxOfEach : pushes - deletedPushes > MaxOfEach;
            if (!isTooMany && bytes - freed <= maxBytes || !await oldest.Delete())
                continue;
            freed += oldest.Length;
            if (oldest.IsDownload)
                deletedDownloads++;
            else
                deletedPushes++;
        }
        if (deletedDownloads + deletedPushes == 0)
            return;
        metrics.InterruptedDeleted(deletedDownloads + deletedPushes);
        LogDeleted(deletedDownloads, deletedPushes, freed, MaxOfEach, maxBytes);
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "deleted the oldest interrupted downloads ({Downloads}) and uploads ({Uploads}), {Bytes} bytes: "
        + "at most {MaxOfEach} of each are kept, and {MaxBytes} bytes of both")]
    private partial void LogDeleted(int downloads, int uploads, long bytes, int maxOfEach, long maxBytes);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "cannot delete interrupted downloads and uploads, will try again in 15 minutes: {Reason}")]
    private partial void LogFailed(string reason);

    private sealed record Idle(bool IsDownload, long Length, DateTimeOffset LastWritten, Func<ValueTask<bool>> Delete);
}
