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
        {
            root.Mark();
            FileSweepStore.Prepare(root);
        }
        if (root.IgnoresCase())
            LogIgnoresCase(root.Path);
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

    [LoggerMessage(Level = LogLevel.Error, Message =
        "the volume of the storage folder {Folder} does not tell upper case from lower case: two tags that differ only in case, such as "
        + "1-RC and 1-rc, are one tag there, and a push of the one changes the other. Move the folder to a volume that tells them apart, "
        + "such as ext4, XFS, or a volume of Docker in place of a folder of Windows or macOS")]
    private partial void LogIgnoresCase(string folder);

    [LoggerMessage(Level = LogLevel.Information, Message = "the storage folder {Folder} is back")]
    private partial void LogBack(string folder);
}
