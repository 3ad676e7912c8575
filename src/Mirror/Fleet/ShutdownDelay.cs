using Mirror.Configuration;

namespace Mirror.Fleet;

/// <summary>After a signal to stop: readiness says no, and requests are still taken for a while, until whoever sends them has noticed.</summary>
public sealed class ShutdownDelay(MirrorOptions options, TimeProvider time) : IHostedLifecycleService
{
    private static readonly TimeSpan AmongReplicas = TimeSpan.FromSeconds(2);

    /// <summary>How long (<c>fleet.leave</c>).</summary>
    public static TimeSpan TimeOf(MirrorOptions options) => options.Fleet.Leave ?? (options.SharesByRedis() ? AmongReplicas : TimeSpan.Zero);

    // Before the listeners are told to stop.
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(TimeOf(options), time, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // Stop now.
        }
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
