using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// Brings the bytes of a fill into its spool. (1) If this replica gets the lease of the digest, it downloads from upstream, or reads the
/// store if the blob was stored meanwhile. (2) If another replica owns the lease, this replica copies the owner's bytes. If it loses the
/// owner, it continues with 1 or 2. (3) If the owner cannot reach upstream, this replica downloads without the lease, but only for an
/// origin of which upstream has shown that it may serve the blob. (4) If an origin refuses, fails or is slow, the next origin continues.
/// For an origin with the login of a client, this replica never follows another one: it downloads, without the lease if another replica
/// owns it.
/// </summary>
/// <param name="origins">The repositories for which this fill may request the blob from upstream.</param>
/// <param name="ignoreLease">Whether this replica downloads even if another one has the lease.</param>
internal sealed partial class FillTransfer(
    FillOrigins origins, IContentStore content, FillLeases leases, FleetMetrics metrics, TimeProvider time, ILogger log, Digest digest,
    bool ignoreLease) : IAsyncDisposable
{
    // Large enough to pay for the system call and for waking readers; small enough for many fills at once.
    private const int BufferSize = 256 * 1024;

    // How often to ask for the lease again after the owner was lost. All attempts together last as long as a lease lives.
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(250);
    private static readonly int MaxAttempts = (int)(FillLeases.Life / RetryInterval);

    // How often a download for which no client waits looks whether it may go on, and how long it pauses in all: downloads for clients may
    // take hours.
    private static readonly TimeSpan YieldInterval = TimeSpan.FromMilliseconds(100);
    private static readonly int MaxYields = (int)(TimeSpan.FromMinutes(10) / YieldInterval);

    private FillLease _lease = FillLease.WithoutLease;
    private int _yields;
    // The spool has bytes of an earlier fill, and no upstream has said yet how long the blob is.
    private bool _isInherited;

    /// <summary>Where the bytes may come from.</summary>
    public FillOrigins Origins => origins;

    public Digest Digest => digest;

    /// <summary>The host and port of the current origin's upstream, for logs and errors. While this replica follows another one, the bytes
    /// come from that replica.</summary>
    public string Authority => origins.Current.Authority;

    /// <summary>The name of the current origin's upstream, as in metrics.</summary>
    public string Upstream => origins.Current.Source.Upstream.Origin.Label;

    /// <summary>How many bytes came, without those that an earlier fill had left.</summary>
    public long Received { get; private set; }

    /// <summary>Where the bytes go; null until upstream or another replica has answered.</summary>
    public Spool? Spool { get; private set; }

    /// <summary>Asks whether this transfer must pause: a download that a client asked for is running, or ended less than a second ago. Null
    /// once a client has asked for this one.</summary>
    public Func<bool>? MustYield { get; set; }

    /// <summary>The other replica that owns the lease; null if this replica downloads.</summary>
    public Uri? LeaseOwner => _lease.Owner;

    private string Sender => LeaseOwner?.Authority ?? Authority;

    /// <summary>
    /// Brings all bytes into the spool, unverified; null if the blob turned out to be stored and no spool had been opened: an open
    /// spool is filled from the store. Origins that fail are left out.
    /// </summary>
    /// <exception cref="UpstreamException">No origin is left: the last one failed or refused, to this replica or to the one that it
    /// follows.</exception>
    /// <exception cref="DigestMismatchException">More bytes came than the blob has.</exception>
    /// <exception cref="IOException">The store has no room for a spool.</exception>
    public async Task<Spool?> ReceiveAsync(CancellationToken stop)
    {
        while (true)
        {
            var turn = origins.Begin(stop);
            try
            {
                var spool = await turn.ReceiveAsync(() => ReceiveFromAnyAsync(turn), () => origins.DependOnOne);
                if (spool is null)
                    origins.SendClientsToStore();
                return spool;
            }
            catch (Exception ended) when (turn.IsOver && !stop.IsCancellationRequested
                && ended is OperationCanceledException or UpstreamUnavailableException)
            {
                LogGoesOn(digest.ToString(), Spool?.Length ?? 0, $"{turn.Origin.Authority} {turn.Fault}");
            }
            catch (UpstreamException failure) when (origins.TryGoOnWithout(turn.Origin, failure))
            {
                LogGoesOn(digest.ToString(), Spool?.Length ?? 0, failure.Message);
            }
            finally
            {
                origins.End(turn);
            }
        }
    }

    /// <summary>
    /// Waits until the owner of the lease has stored the blob. If the owner returns its lease before it has stored the blob, it has failed.
    /// Then one of the waiting replicas takes the lease and stores its own copy.
    /// </summary>
    /// <returns>False if this replica has taken the lease, and has to store the blob.</returns>
    /// <exception cref="IOException">The store cannot be read.</exception>
    public async Task<bool> WaitForOwnerToStoreAsync(CancellationToken stop)
    {
        while (LeaseOwner is not null && await content.SizeAsync(digest, stop) is null)
        {
            await Task.Delay(RetryInterval, time, stop);
            await TakeLeaseAsync(orIgnore: false);
        }
        return LeaseOwner is not null;
    }

    /// <summary>Requests a range, or the rest of the blob, for one client alone; the answer does not go into the spool.</summary>
    /// <param name="origin">The origin of this client.</param>
    /// <param name="end">The offset after the last wanted byte; null for all.</param>
    /// <exception cref="UpstreamException">One of the four answers that are not content.</exception>
    public Task<Content> OpenRangeAsync(FillOrigin origin, long from, long? end, CancellationToken cancellationToken) =>
        origin.Source.OpenRangeAsync(origin.Client is null ? LeaseOwner : null, origin.Name, digest, from, end, cancellationToken);

    /// <summary>
    /// After a turn: drops wrong bytes and leaves out the origin that sent the last of them, so that <see cref="ReceiveAsync"/> can be
    /// called again. False if a client has already got bytes, or if no other origin is left.
    /// </summary>
    public bool TryBeginAgain(DigestMismatchException wrong)
    {
        origins.Distrust();
        if (origins.HaveAdmitted || !origins.TryGoOnWithout(origins.Current, wrong))
            return false;
        Spool?.Reset();
        LogGoesOn(digest.ToString(), 0, wrong.Message);
        return true;
    }

    /// <summary>Returns the lease.</summary>
    public ValueTask DisposeAsync()
    {
        origins.Dispose();
        return _lease.DisposeAsync();
    }

    private async Task<Spool?> ReceiveFromAnyAsync(FillTurn turn)
    {
        // The fill runs in the context of the client that began it. Ask upstream with the login of this origin's own client.
        ActingClient.Current = turn.Origin.Client;
        // Another replica does not have that login: with its own accounts it would get upstream's refusal.
        var mustDownload = ignoreLease || turn.Origin.Client is not null;
        var loggedAt = -1L;
        for (var attempts = 0; ; attempts++)
        {
            turn.Pause();
            // This replica may still own the lease from an earlier turn.
            if (LeaseOwner is not null || _lease == FillLease.WithoutLease)
                await TakeLeaseAsync(orIgnore: mustDownload || attempts > MaxAttempts);
            try
            {
                return LeaseOwner is { } owner ? await FollowAsync(owner, turn) : await DownloadAsync(turn);
            }
            catch (ReplicaLostException lost) when (lost.HasFailed && !turn.Origin.IsProved)
            {
                throw new UpstreamUnavailableException(lost.Message, lost);
            }
            catch (ReplicaLostException lost)
            {
                // Log and count each failure once, not each attempt at the same byte.
                var length = Spool?.Length ?? 0;
                if (length != loggedAt)
                {
                    LogLost(digest.ToString(), length, lost.Reason);
                    metrics.FollowFailed();
                }
                loggedAt = length;
                if (lost.HasFailed)
                    // From now on download, even if another replica has the lease: the one that takes it after the failed one may also wait
                    // long for upstream.
                    mustDownload = true;
                else if (lost.IsRefused)
                    await _lease.BreakAsync();
                else
                    await Task.Delay(RetryInterval, time, turn.Stop);
            }
        }
    }

    private async ValueTask TakeLeaseAsync(bool orIgnore)
    {
        var lease = await leases.TakeAsync(digest);
        _lease = lease.Owner is not null && orIgnore ? FillLease.WithoutLease : lease;
    }

    private async Task<Spool> FollowAsync(Uri owner, FillTurn turn)
    {
        var origin = turn.Origin;
        turn.Resume();
        // Open our spool only after the owner's response: by then the owner has the spool with the digest's name, which a later fill can
        // resume. This replica may share the folder, so its spool has another name.
        await using var body = await origin.Source.FollowAsync(owner, origin.Name, digest, Spool?.Length ?? 0, null, turn.Stop);
        origin.IsProved = true;
        metrics.Followed();
        Spool ??= await content.SpoolPrivatelyAsync(digest, turn.Stop);
        await CopyAsync(body, Spool, turn);
        return Spool;
    }

    [LoggerMessage(Level = LogLevel.Information,
        Message = "the download of {Digest} continues at byte {Offset} from another repository or another upstream: {Reason}")]
    private partial void LogGoesOn(string digest, long offset, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "resuming the download of {Digest} at byte {Offset}")]
    private partial void LogResumed(string digest, long offset);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "cannot read {Digest} from the replica that downloads it (at byte {Offset}): {Reason}; looking for another source")]
    private partial void LogLost(string digest, long offset, string reason);
}
