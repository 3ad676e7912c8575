using Mirror.Configuration;
using Mirror.Storage.Files;

namespace Mirror.Health;

/// <summary>Looks every second whether the store's folder is still there, and logs when it goes away and when it is back.</summary>
internal sealed partial class StorePresence(StoreRoot root, StorageOptions storage, TimeProvider time, ILogger<StorePresence> log)
    : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        if (!storage.Maintenance.ReadOnly.Enabled)
            root.Mark();
        root.Changed += why =>
        {
            if (why is null)
                LogBack(root.Path);
            else
                LogAway(why);
        };
        return base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
            root.Look();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Reason}. Until then pushes and stored content are refused with 503")]
    private partial void LogAway(string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "the storage folder {Folder} is back")]
    private partial void LogBack(string folder);
}
