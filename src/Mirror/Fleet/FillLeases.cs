using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Fleet;

/// <summary>
/// Which replica downloads a digest. One replica at a time owns the lease of a digest, and renews it while it downloads. A lease only saves
/// requests to upstream: if it is lost, or if Redis does not answer, two replicas download the same bytes, and both store the same blob.
/// </summary>
/// <param name="redis">Null if there are no other replicas.</param>
public sealed partial class FillLeases(
    Replica self, FleetKeys fleetKeys, ReplicaSignature signature, RedisKeys keys, FleetMetrics metrics, TimeProvider time,
    ILogger<FillLeases> log, RedisGuard? redis = null)
{
    /// <summary>How long a lease lives after its last renewal. If its owner dies, the other replicas wait for so long.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromSeconds(6);

    private static readonly TimeSpan Renewal = TimeSpan.FromSeconds(1);

    // Without http.secret a replica cannot show the others that it is one, so it cannot ask them for a blob.
    private readonly RedisGuard? _redis = fleetKeys.IsShared ? redis : null;

    /// <summary>
    /// Takes the lease of a digest. If another replica owns it, the result names this replica. The third result,
    /// <see cref="FillLease.WithoutLease"/>, means: download without a lease.
    /// </summary>
    public async ValueTask<FillLease> TakeAsync(Digest digest)
    {
        if (_redis is not { } redis)
            return FillLease.WithoutLease;
        var key = keys.Lease(digest);
        var value = signature.SignText(key, $"{self.Address.AbsoluteUri} {Guid.NewGuid():N}");
        for (var attempt = 0; attempt < 3; attempt++)
        {
            if (await redis.SetIfAbsentAsync(key, value, Life) is not { } taken)
                return FillLease.WithoutLease;
            if (taken)
                return Hold(redis, key, value);
            // If the lease ended between the two requests, try again.
            if (await redis.OwnerAsync(key) is { } theirs)
                return OwnerOf(key, theirs) is { } owner ? new(owner, () => new(redis.ReleaseAsync(key, theirs))) : FillLease.WithoutLease;
        }
        return FillLease.WithoutLease;
    }

    /// <summary>The other replica that downloads a digest now; null if none does, or if Redis does not answer.</summary>
    public async ValueTask<Uri?> OwnerAsync(Digest digest) =>
        _redis is not null && await _redis.OwnerAsync(keys.Lease(digest)) is { } theirs ? OwnerOf(keys.Lease(digest), theirs) : null;

    private Uri? OwnerOf(string key, string value) =>
        signature.TryReadText(key, value, out var text) ? self.OtherAt(text.Split(' ')[0]) : null;

    private FillLease Hold(RedisGuard redis, string key, string value)
    {
        var stop = new CancellationTokenSource();
        var renewing = RenewAsync(redis, key, value, stop.Token);
        metrics.LeaseTaken();
        return new FillLease(null, async () =>
        {
            await stop.CancelAsync();
            await renewing;
            stop.Dispose();
            metrics.LeaseReleased();
            await redis.ReleaseAsync(key, value);
        });
    }

    private async Task RenewAsync(RedisGuard redis, string key, string value, CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Renewal, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
                if (await redis.RenewAsync(key, value, Life) is false)
                    LogLost(key);
        }
        catch (OperationCanceledException)
        {
            // The download ended.
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "another replica took the lease {Lease}; both replicas go on downloading")]
    private partial void LogLost(string lease);
}

/// <summary>The right to download a digest for all replicas, until disposed; or the replica that has this right.</summary>
/// <param name="Owner">The other replica that owns the lease; null if this replica may download.</param>
/// <param name="End">Ends the lease; null if there is none: see <see cref="WithoutLease"/>.</param>
public sealed record FillLease(Uri? Owner, Func<ValueTask>? End) : IAsyncDisposable
{
    /// <summary>
    /// This replica downloads without a lease: there are no other replicas, Redis gives no answer, the lease in Redis has no valid
    /// signature or names no other replica, or it ended three times before this replica could read it.
    /// </summary>
    public static readonly FillLease WithoutLease = new(null, null);

    /// <summary>Ends the lease of another replica that does not run any more, and cannot end the lease itself.</summary>
    public ValueTask BreakAsync() => End?.Invoke() ?? default;

    /// <summary>Ends the lease if this replica owns it.</summary>
    public ValueTask DisposeAsync() => Owner is null && End is not null ? End() : default;
}
