using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Files;
using Mirror.Telemetry;

namespace Mirror.Health;

/// <summary>
/// Whether the store takes writes: full, read-only and broken stores still serve what they have. Each write that fails is reported here,
/// and the log gets one line a minute for all of them. A folder is tried at the start and every minute as well. If this process has no
/// right to write somewhere in a folder, other writes say nothing about that place: then only a trial finds that the store takes writes
/// again.
/// </summary>
/// <param name="root">The store's folder; null for a bucket.</param>
public sealed partial class StoreWrites(
    StorageOptions storage, ProxyOptions proxy, StoreMetrics metrics, TimeProvider time, ILogger<StoreWrites> log, StoreRoot? root = null)
    : BackgroundService
{
    // Of the repositories whose writes have failed, so many are tried.
    private const int MaxRepositories = 16;

    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    // Do not try a registry that is read-only by its settings: its volume may be read-only. Do not try a bucket: the writes of clients show
    // whether it accepts them.
    private readonly bool _isTried = storage.Bucket() is null && !storage.Maintenance.ReadOnly.Enabled;
    private readonly Lock _gate = new();
    private string? _failure;
    private bool _isOfRights;
    private readonly HashSet<RepositoryName> _repositories = [];
    private long? _logged;
    private int _count;
    private int _failures;

    /// <summary>Why the store does not take writes; null where it does, as far as is known.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    /// <summary>A write failed.</summary>
    /// <param name="what">What could not be stored.</param>
    /// <param name="repository">The repository that it belongs to; null if it is not known.</param>
    public void Failed(string what, Exception failure, RepositoryName? repository = null)
    {
        int count;
        lock (_gate)
        {
            metrics.IsWritable(false);
            _failures++;
            _failure = failure.Message;
            _isOfRights |= failure is UnauthorizedAccessException;
            if (repository is { } name && _repositories.Count < MaxRepositories)
                _repositories.Add(name);
            _count++;
            if (_logged is { } last && time.GetElapsedTime(last) < Interval)
                return;
            _logged = time.GetTimestamp();
            (count, _count) = (_count, 0);
        }
        var advice = failure is UnauthorizedAccessException ? $"run: chown -R {ProcessUser.Name} {storage.LocalDirectory}"
            : "make room, or mend the storage";
        if (proxy.HasUpstream)
            LogFailedOfMirror(what, failure.Message, storage.Location, count, advice);
        else
            LogFailed(what, failure.Message, storage.Location, count, advice);
    }

    /// <summary>A write succeeded.</summary>
    public void Succeeded()
    {
        if (Failure is not null && !(_isOfRights && _isTried))
            Recovered();
    }

    private void Recovered()
    {
        lock (_gate)
        {
            (_failure, _isOfRights) = (null, false);
            _repositories.Clear();
            metrics.IsWritable(true);
        }
        LogSucceeded(storage.Location);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        metrics.IsWritable(true);
        if (!_isTried)
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
            int failures;
            RepositoryName[] repositories;
            lock (_gate)
                (failures, repositories) = (_failures, [.. _repositories]);
            WriteTrial.Run(Path.GetFullPath(storage.Filesystem.RootDirectory), repositories);
            // A write that failed during the trial may be one that the trial did not try.
            lock (_gate)
                if (Failure is not null && _failures == failures)
                    Recovered();
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            Failed("a trial file", failure);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message =
        "cannot store {What} in {Storage}: {Reason} ({Count} writes failed since the last such line). What is stored is served, and "
        + "pushes are refused: {Advice}")]
    private partial void LogFailed(string what, string reason, string storage, int count, string advice);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "cannot store {What} in {Storage}: {Reason} ({Count} writes failed since the last such line). What is stored is served, the rest "
        + "comes from upstream uncached, and pushes are refused: {Advice}")]
    private partial void LogFailedOfMirror(string what, string reason, string storage, int count, string advice);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Storage} takes writes again")]
    private partial void LogSucceeded(string storage);
}
