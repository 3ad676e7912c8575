using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Fleet;

/// <summary>
/// After a signal to stop: readiness fails, and the server takes requests for a while longer, until load balancers have noticed.
/// </summary>
public sealed class ShutdownDelay(MirrorOptions options, TimeProvider time) : IHostedLifecycleService
{
    private static readonly TimeSpan AmongReplicas = TimeSpan.FromSeconds(2);

    /// <summary>How long requests are still taken (<c>fleet.leave</c>).</summary>
    public static TimeSpan TimeOf(MirrorOptions options) =>
        options.Fleet.Leave?.ForTimer ?? (options.SharesByRedis() ? AmongReplicas : TimeSpan.Zero);

    // The host calls this before it stops the listeners.
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(TimeOf(options), time, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The host's own time limit has passed: stop now.
        }
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
