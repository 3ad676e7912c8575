using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Files;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.Health;

/// <summary>
/// Whether the store takes writes: full, read-only and broken stores still serve what they have. Each write that fails is reported here,
/// and the log gets one line a minute for all of them. A folder is tried at the start and every minute as well.
/// </summary>
/// <param name="root">The store's folder; null for a bucket.</param>
public sealed partial class StoreWrites(
    StorageOptions storage, StoreMetrics metrics, TimeProvider time, ILogger<StoreWrites> log, StoreRoot? root = null)
    : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    // A disk that does not accept so many bytes counts as full.
    private const int TrialBytes = 1 << 20;

    private readonly Lock _gate = new();
    private string? _failure;
    private long? _logged;
    private int _count;

    /// <summary>Why the store does not take writes; null where it does, as far as is known.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    /// <summary>A write failed.</summary>
    /// <param name="what">What could not be stored.</param>
    public void Failed(string what, Exception failure)
    {
        metrics.IsWritable(false);
        int count;
        lock (_gate)
        {
            _failure = failure.Message;
            _count++;
            if (_logged is { } last && time.GetElapsedTime(last) < Interval)
                return;
            _logged = time.GetTimestamp();
            (count, _count) = (_count, 0);
        }
        LogFailed(what, failure.Message, storage.Location, count);
    }

    /// <summary>A write succeeded.</summary>
    public void Succeeded()
    {
        if (Failure is null)
            return;
        lock (_gate)
            _failure = null;
        metrics.IsWritable(true);
        LogSucceeded(storage.Location);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        metrics.IsWritable(true);
        // Do not try a registry that is read-only by its settings: its volume may be read-only. Do not try a bucket: the writes of clients
        // show whether it accepts them.
        if (storage.Bucket() is not null || storage.Maintenance.ReadOnly.Enabled)
            return;
        using var timer = new PeriodicTimer(Interval, time);
        do
            await Task.Run(Try, stoppingToken);
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private void Try()
    {
        try
        {
            root?.Require();
            var folder = Path.Combine(storage.Filesystem.RootDirectory, RegistryLayout.Temporary);
            Directory.CreateDirectory(folder);
            var path = Path.Combine(folder, $"trial-{Environment.ProcessId}");
            using (var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose))
                file.Write(new byte[TrialBytes]);
            Succeeded();
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            Failed("a trial file", failure);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message =
        "cannot store {What} in {Storage}: {Reason} ({Count} writes failed since the last such line). What is stored is served, the rest "
        + "comes from upstream uncached, and pushes are refused: make room, or mend the storage")]
    private partial void LogFailed(string what, string reason, string storage, int count);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Storage} takes writes again")]
    private partial void LogSucceeded(string storage);
}
