using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Telemetry;

namespace Mirror.Maintenance;

/// <summary>Says at the start, and when it changes, which repositories have pushed content and are no longer hosted.</summary>
public sealed partial class OrphanReports(
    Orphans orphans, RepositoryResolver repositories, StoreMetrics metrics, TimeProvider time, ILogger<OrphanReports> log)
    : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    private const int MaxNamed = 10;
    private const int MaxCounted = 10_000;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        var reported = 0;
        do
            try
            {
                var names = await Task.Run(
                    () => orphans.ListAsync(repositories.IsHosted, stoppingToken).Take(MaxCounted).ToListAsync(stoppingToken).AsTask(),
                    stoppingToken);
                metrics.Orphans(names.Count);
                if (names.Count > 0 && names.Count != reported)
                    LogOrphans(names.Count, string.Join(", ", names.Take(MaxNamed)) + (names.Count > MaxNamed ? ", ..." : ""));
                reported = names.Count;
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                LogFailed(failure.Message);
            }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "{Count} repositories have images that clients pushed here, but hosted.repositories no longer matches their names: upstream is "
        + "asked for them now. Nothing deletes these images; add a pattern, or give them up with garbage-collect --release NAME: {Names}")]
    private partial void LogOrphans(int count, string names);

    [LoggerMessage(Level = LogLevel.Warning, Message = "cannot look for pushed images that are no longer hosted: {Reason}")]
    private partial void LogFailed(string reason);
}
