namespace Mirror.Fleet;

/// <summary>Which replicas there are, for people: each notes its address in Redis every ten seconds while it runs.</summary>
/// <param name="redis">Null where there are no other replicas.</param>
public sealed class FleetMembers(RedisKeys keys, Replica self, TimeProvider time, RedisGuard? redis = null) : BackgroundService
{
    private const int MaxReplicas = 100;
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(10);

    // The clocks of replicas differ.
    private static readonly TimeSpan MaxSilence = TimeSpan.FromMinutes(1);

    /// <summary>The addresses of the replicas that have noted themselves within a minute, this one among them, and when they did.</summary>
    /// <returns>Null without other replicas, and where Redis gives no answer.</returns>
    public async ValueTask<IReadOnlyList<(string Address, DateTimeOffset Last)>?> ListAsync()
    {
        var now = time.GetUtcNow();
        if (redis is null
            || await redis.DatesSinceAsync(keys.Replicas, (now - MaxSilence).ToUnixTimeMilliseconds(), MaxReplicas) is not { } dates)
            return null;
        // Another program may have written anything.
        var latest = (now + MaxSilence).ToUnixTimeMilliseconds();
        return
        [
            .. dates.Where(date => date.At <= latest)
                .Select(date => (date.Name, DateTimeOffset.FromUnixTimeMilliseconds(date.At))).OrderBy(replica => replica.Name),
        ];
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (redis is null)
            return;
        using var timer = new PeriodicTimer(Every, time);
        try
        {
            do
                await redis.AddDatesAsync(
                    keys.Replicas, [(self.Address.AbsoluteUri, time.GetUtcNow().ToUnixTimeMilliseconds())], MaxReplicas, MaxSilence);
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException)
        {
            // The server stops.
        }
    }
}
