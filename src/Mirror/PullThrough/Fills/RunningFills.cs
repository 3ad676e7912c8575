using System.Collections.Concurrent;
using Mirror.Fleet;
using Mirror.Health;
using Mirror.Limits;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>The running downloads: at most one for each digest, whatever number of clients and repositories ask for it.</summary>
public sealed class RunningFills(
    IContentStore content, IReferenceStore references, IProvenanceStore provenance, CacheSize cache,
    StoreWrites writes, FillLeases leases, FillShares shares, FillMetrics metrics, FleetMetrics fleet, TimeProvider time,
    ILogger<RunningFills> log)
    : IAsyncDisposable
{
    // A client that downloads one layer after the other asks for the next one within this time.
    private static readonly TimeSpan BetweenLayers = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<Digest, Fill> _running = new();
    private readonly CancellationTokenSource _stop = new();
    // When the last download for a client ended; 0 if none has.
    private long _clientEnded;

    /// <summary>Whether any download is running, or one for a client ended a moment ago.</summary>
    public bool AreBusy => !_running.IsEmpty || IsAfterClient;

    private bool IsAfterClient =>
        Volatile.Read(ref _clientEnded) is not 0 and var ended && time.GetElapsedTime(ended) < BetweenLayers;

    /// <summary>How far each download is, in no particular order.</summary>
    public IReadOnlyList<RunningFill> List() => [.. _running.Values.Select(fill => fill.Progress)];

    /// <summary>Whether a digest is being downloaded for a repository, and for the login of the acting client if there is one.</summary>
    public bool AreRunningFor(RepositoryName name, Digest digest) =>
        _running.TryGetValue(digest, out var fill) && !fill.Origins.HaveFailed
            && fill.Origins.Find(name, ActingClient.Current) is not null;

    /// <summary>
    /// Returns when no download of a digest is running. A client has the last bytes of a blob a moment before the blob is stored.
    /// </summary>
    public Task WhenEndedAsync(Digest digest, CancellationToken cancellationToken) =>
        _running.TryGetValue(digest, out var fill) ? fill.Ended.WaitAsync(cancellationToken) : Task.CompletedTask;

    /// <summary>Joins the fill of a digest, or starts one. The caller must leave it, or dispose the reader that it opened.</summary>
    /// <param name="name">The repository in whose name upstream is asked if a fill is started.</param>
    /// <param name="ignoreLease">Whether a fill is started even if another replica downloads the digest.</param>
    /// <param name="isForClient">Whether a client waits for it. A fill for which no client waits yields to the fills of clients.</param>
    /// <exception cref="BusyException">The limit of open files allows no further download from this upstream.</exception>
    internal (Fill Fill, bool Joined) JoinOrStart(
        FillSource source, RepositoryName name, Digest digest, bool ignoreLease, bool isForClient)
    {
        while (true)
        {
            ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
            Fill? own = null;
            if (!_running.TryGetValue(digest, out var fill))
            {
                if (!shares.TryTake(source))
                    throw new BusyException(
                        $"all places for downloads from {source.Upstream.Origin.Authority} are taken; try again later", RetryAfter,
                        OpenFiles.Advice);
                var origins = new FillOrigins(new FillOrigin(source, name, ActingClient.Current, answeredIn: null), digest, time);
                var transfer = new FillTransfer(origins, content, leases, fleet, time, log, digest, ignoreLease)
                {
                    MustYield = isForClient ? null
                        : () => IsAfterClient || _running.Values.Any(other => other.Transfer.MustYield is null),
                };
                own = new Fill(transfer, content, references, provenance, cache, writes, metrics, time, log);
                fill = _running.GetOrAdd(digest, own);
                if (fill != own)
                    shares.GiveBack(source);
            }
            if (!fill.TryJoin())
            {
                // This fill has just ended, and is about to be removed from the list. Remove it and retry.
                _running.TryRemove(new(digest, fill));
                continue;
            }
            if (isForClient)
                fill.Transfer.MustYield = null;
            if (fill == own)
                // On this thread until the request to upstream is sent: another thread would have to wake up first.
                own.Ended = RunAsync(own, source);
            else
                metrics.Joined();
            return (fill, fill != own);
        }
    }

    /// <summary>Stops every fill. What they have received stays in their spools.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
            return;
        await _stop.CancelAsync();
        await Task.WhenAll(_running.Values.Select(fill => fill.Ended));
    }

    private async Task RunAsync(Fill fill, FillSource source)
    {
        try
        {
            await fill.RunAsync(_stop.Token);
        }
        finally
        {
            if (fill.Transfer.MustYield is null)
                Volatile.Write(ref _clientEnded, time.GetTimestamp());
            _running.TryRemove(new(fill.Digest, fill));
            shares.GiveBack(source);
        }
    }
}
