using System.Text;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Fleet;

/// <summary>
/// Which replica downloads a digest: one at a time, for as long as it says so. A lease only saves upstream requests. Where it is lost, or Redis cannot be
/// asked, two replicas download the same bytes, and both are right.
/// </summary>
/// <param name="memory">Null where there are no other replicas.</param>
public sealed partial class FillLeases(Replica self, FleetSecret secret, RegistryMetrics metrics, TimeProvider time, ILogger<FillLeases> log, RedisGuard? memory = null)
{
    /// <summary>How long a lease lasts without a word from its holder: the pause that a holder's death costs.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromSeconds(6);

    private static readonly TimeSpan Renewal = TimeSpan.FromSeconds(1);

    /// <summary>Takes the lease of a digest, or says who has it.</summary>
    public async ValueTask<FillLease> TakeAsync(Digest digest)
    {
        // A replica that cannot prove itself to the others is forwarded nothing.
        if (memory is null || !secret.IsShared)
            return FillLease.None;
        var key = Key(digest);
        var value = secret.SealText(key, $"{self.Address.AbsoluteUri} {Guid.NewGuid():N}");
        for (var attempt = 0; attempt < 3; attempt++)
        {
            if (await memory.TakeAsync(key, value, Life) is not { } taken)
                return FillLease.None;
            if (taken)
                return Hold(memory, key, value);
            // Gone again between the two questions: once more.
            if (await memory.HolderAsync(key) is { } held)
            {
                var theirs = Encoding.ASCII.GetString(held);
                return Elsewhere(key, theirs) is { } owner ? new FillLease(owner, () => new(memory.ReleaseAsync(key, theirs))) : FillLease.None;
            }
        }
        return FillLease.None;
    }

    /// <summary>The other replica that downloads a digest now; null where none does, or nobody can say.</summary>
    public async ValueTask<Uri?> HolderAsync(Digest digest) =>
        memory is not null && await memory.HolderAsync(Key(digest)) is { } held ? Elsewhere(Key(digest), Encoding.ASCII.GetString(held)) : null;

    private static string Key(Digest digest) => $"mirror:1:fill:{digest}";

    private Uri? Elsewhere(string key, string value) =>
        secret.TryOpenText(key, value, out var text) && Uri.TryCreate(text.Split(' ')[0], UriKind.Absolute, out var owner) && self.IsOther(owner) ? owner : null;

    private FillLease Hold(RedisGuard shared, string key, string value)
    {
        var stop = new CancellationTokenSource();
        var renewing = TouchAsync(shared, key, value, stop.Token);
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

    private async Task TouchAsync(RedisGuard shared, string key, string value, CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Renewal, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
                if (await shared.TouchAsync(key, value, Life) is false)
                    LogLost(key);
        }
        catch (OperationCanceledException)
        {
            // The download ended.
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Lease} is another replica's by now: both go on")]
    private partial void LogLost(string lease);
}

/// <summary>The right to download a digest for all replicas, until disposed; or who has it.</summary>
/// <param name="Owner">The replica that has it; null where this one may download.</param>
public sealed record FillLease(Uri? Owner, Func<ValueTask>? End) : IAsyncDisposable
{
    public static readonly FillLease None = new(null, null);

    /// <summary>Ends it for a replica that was found to be gone, which cannot do so itself.</summary>
    public ValueTask BreakAsync() => End?.Invoke() ?? default;

    /// <summary>Gives it back, where it is this replica's.</summary>
    public ValueTask DisposeAsync() => Owner is null && End is not null ? End() : default;
}
