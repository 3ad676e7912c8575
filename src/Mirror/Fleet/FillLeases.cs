using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Fleet;

/// <summary>
/// Which replica downloads a digest. One replica at a time holds the lease of a digest and renews it while it downloads. A lease only saves
/// requests to upstream: where it is lost, or Redis does not answer, two replicas download the same bytes, and both store the same blob.
/// </summary>
/// <param name="redis">Null where there are no other replicas.</param>
public sealed partial class FillLeases(
    Replica self, FleetKeys secrets, ReplicaSignature signature, RedisKeys keys, FleetMetrics metrics, TimeProvider time,
    ILogger<FillLeases> log, RedisGuard? redis = null)
{
    /// <summary>How long a lease lives after its last renewal: the pause that the death of its holder costs.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromSeconds(6);

    private static readonly TimeSpan Renewal = TimeSpan.FromSeconds(1);

    // Without http.secret a replica cannot show the others that it is one, so it cannot ask them for a blob.
    private readonly RedisGuard? _redis = secrets.IsShared ? redis : null;

    /// <summary>Takes the lease of a digest, or returns the replica that holds it.</summary>
    public async ValueTask<FillLease> TakeAsync(Digest digest)
    {
        if (_redis is not { } shared)
            return FillLease.None;
        var key = keys.Lease(digest);
        var value = signature.SignText(key, $"{self.Address.AbsoluteUri} {Guid.NewGuid():N}");
        for (var attempt = 0; attempt < 3; attempt++)
        {
            if (await shared.SetIfAbsentAsync(key, value, Life) is not { } taken)
                return FillLease.None;
            if (taken)
                return Hold(shared, key, value);
            // If the lease ended between the two requests, try again.
            if (await shared.HolderAsync(key) is { } theirs)
                return OwnerOf(key, theirs) is { } owner ? new(owner, () => new(shared.ReleaseAsync(key, theirs))) : FillLease.None;
        }
        return FillLease.None;
    }

    /// <summary>The other replica that downloads a digest now; null where none does, or Redis does not answer.</summary>
    public async ValueTask<Uri?> HolderAsync(Digest digest) =>
        _redis is not null && await _redis.HolderAsync(keys.Lease(digest)) is { } held ? OwnerOf(keys.Lease(digest), held) : null;

    private Uri? OwnerOf(string key, string value) =>
        signature.TryReadText(key, value, out var text) ? self.OtherAt(text.Split(' ')[0]) : null;

    private FillLease Hold(RedisGuard shared, string key, string value)
    {
        var stop = new CancellationTokenSource();
        var renewing = RenewAsync(shared, key, value, stop.Token);
        metrics.LeaseTaken();
        return new FillLease(null, async () =>
        {
            await stop.CancelAsync();
            await renewing;
            stop.Dispose();
            metrics.LeaseReleased();
            await shared.ReleaseAsync(key, value);
        });
    }

    private async Task RenewAsync(RedisGuard shared, string key, string value, CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Renewal, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
                if (await shared.RenewAsync(key, value, Life) is false)
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

/// <summary>The right to download a digest for all replicas, until disposed; or the replica that has it.</summary>
/// <param name="Owner">The replica that holds the lease; null where this one may download.</param>
/// <param name="End">Ends the lease; null where Redis was not asked.</param>
public sealed record FillLease(Uri? Owner, Func<ValueTask>? End) : IAsyncDisposable
{
    public static readonly FillLease None = new(null, null);

    /// <summary>Ends the lease of a replica that is gone and cannot end it itself.</summary>
    public ValueTask BreakAsync() => End?.Invoke() ?? default;

    /// <summary>Ends the lease if this replica holds it.</summary>
    public ValueTask DisposeAsync() => Owner is null && End is not null ? End() : default;
}
