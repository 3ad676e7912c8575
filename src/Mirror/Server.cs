using Mirror.Configuration;

namespace Mirror;

/// <summary>The registry at work.</summary>
public static partial class Server
{
    /// <summary>Serves until <paramref name="cancellationToken"/> or a signal ends it.</summary>
    /// <param name="warnings">What the configuration says that is ignored, a line each.</param>
    public static async Task RunAsync(MirrorOptions options, IReadOnlyList<string> warnings, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(options.Log.Level);
        builder.Services.AddMirrorOptions(options);
        builder.WebHost.ConfigureKestrel(kestrel => ListenAddress.Parse(options.Http.Addr).Listen(kestrel, _ => { }));

        await using var app = builder.Build();
        foreach (var warning in warnings)
            LogWarning(app.Logger, warning);
        await app.StartAsync(cancellationToken);
        await app.WaitForShutdownAsync(cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "configuration: {Warning}")]
    private static partial void LogWarning(ILogger logger, string warning);
}
