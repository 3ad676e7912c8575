using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Telemetry;

namespace Mirror.Maintenance;

/// <summary>
/// Finds out at the start, and from time to time, what was pushed and what was copied where no mark tells it. It says which
/// repositories have content that the settings have orphaned, or copies that do not follow upstream any more.
/// </summary>
public sealed partial class OrphanReports(
    Orphans orphans, FrozenCopies frozen, FormerUpstreams former, UnmarkedContent unmarked, RepositoryResolver repositories,
    CacheSize cache, StorageOptions storage, StoreMetrics metrics, TimeProvider time, ILogger<OrphanReports> log)
    : BackgroundService
{
    // A start does not wait longer for a store that hangs.
    private static readonly TimeSpan MaxStartDelay = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan RoundDelay = TimeSpan.FromMinutes(1);

    private const int MaxNamed = 10;
    private const int MaxCounted = 10_000;

    // Other programs may write to the store. To look through a bucket costs money.
    private readonly TimeSpan _interval = storage.Bucket() is null ? TimeSpan.FromHours(1) : TimeSpan.FromDays(1);

    private string _reported = "";

    /// <summary>Notes the upstreams, and reads which ones the store has had, before the first request is answered.</summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await UpstreamsAsync(cancellationToken).WaitAsync(MaxStartDelay, time, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure || failure is TimeoutException)
        {
            LogFailed(failure.Message);
        }
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
            await Task.Delay(await Task.Run(() => LookAsync(stoppingToken), stoppingToken), time, stoppingToken);
    }

    // After which time to look again.
    private async Task<TimeSpan> LookAsync(CancellationToken stop)
    {
        try
        {
            await UpstreamsAsync(stop);
            await ReportAsync(stop);
            if (storage.Maintenance.ReadOnly.Enabled)
                return _interval;
            var (foundCopies, isDone) = await unmarked.MarkAsync(stop);
            if (foundCopies)
                cache.Remeasure();
            await ReportAsync(stop);
            return isDone ? _interval : RoundDelay;
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogFailed(failure.Message);
            return RoundDelay;
        }
    }

    private async Task UpstreamsAsync(CancellationToken stop)
    {
        var noted = await former.ReadAsync(stop);
        if (storage.Maintenance.ReadOnly.Enabled)
            return;
        try
        {
            await former.NoteAsync(noted, stop);
        }
        // What was read counts also where nothing can be written.
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogFailed(failure.Message);
        }
    }

    private async Task ReportAsync(CancellationToken stop)
    {
        var found = await orphans.ListAsync(repositories.IsHosted, repositories.IsMirrored, stop).Take(MaxCounted).ToListAsync(stop);
        metrics.Orphans(found.Count);
        var takenOver = await frozen.ListAsync(stop).Take(MaxCounted).ToListAsync(stop);
        var (pushed, copied, old) = (Names(found, isPushed: true), Names(found, isPushed: false), Names(takenOver));
        if (_reported == pushed + copied + old)
            return;
        _reported = pushed + copied + old;
        if (pushed.Length > 0)
            LogPushed(found.Count(orphan => orphan.IsPushed), pushed);
        if (copied.Length > 0)
            LogCopied(found.Count(orphan => !orphan.IsPushed), copied);
        if (old.Length > 0)
            LogFrozen(takenOver.Count, old);
    }

    private static string Names(List<Orphan> found, bool isPushed) =>
        Names(found.Where(orphan => orphan.IsPushed == isPushed).Select(orphan => orphan.Name));

    private static string Names(IEnumerable<RepositoryName> found)
    {
        var names = found.Select(name => name.ToString()).Order().ToList();
        return string.Join(", ", names.Take(MaxNamed)) + (names.Count > MaxNamed ? ", ..." : "");
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "{Count} repositories have images that clients pushed here, but hosted.repositories no longer matches their names: these images "
        + "are served, and upstream is asked for everything else. Nothing deletes them; add a pattern, or give them up with "
        + "garbage-collect --release NAME: {Names}")]
    private partial void LogPushed(int count, string names);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "{Count} repositories have images but no upstream: none is configured for their names any longer. They are served, and nothing "
        + "deletes them; add the upstream to proxy.upstreams again, or give them up with garbage-collect --release NAME: {Names}")]
    private partial void LogCopied(int count, string names);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "{Count} repositories have images from upstream, but hosted.repositories now matches their names: they are served as if clients "
        + "had pushed them, and are not updated from upstream any more. To mirror them again, change hosted.repositories; or else push "
        + "new images, or delete the old tags: {Names}")]
    private partial void LogFrozen(int count, string names);

    [LoggerMessage(Level = LogLevel.Warning, Message = "cannot look for images that the settings have orphaned: {Reason}")]
    private partial void LogFailed(string reason);
}
