using System.Buffers;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// Brings the bytes of a fill into its spool: from upstream if this replica gets the lease of the digest, else from the replica that has
/// it. If that replica is lost, the transfer continues from the replica that takes the lease next. If this replica takes it: from the store
/// if the blob was stored meanwhile, otherwise from upstream. If that replica cannot reach upstream, this replica downloads itself, for an
/// origin of which upstream has shown that it may serve the blob. If an origin refuses, fails or is slow, the transfer continues from the
/// next origin. For an origin with the login of a client this replica always downloads itself.
/// </summary>
/// <param name="origins">The repositories for which this fill may request the blob from upstream.</param>
/// <param name="ignoreLease">Whether this replica downloads even if another one has the lease.</param>
internal sealed partial class FillTransfer(
    FillOrigins origins, IContentStore content, FillLeases leases, FleetMetrics metrics, TimeProvider time, ILogger log, Digest digest,
    bool ignoreLease) : IAsyncDisposable
{
    // Large enough to pay for the system call and for waking readers; small enough for many fills at once.
    private const int BufferSize = 256 * 1024;

    // How often to look for the new owner of a lost replica's lease. All attempts together last one lease lifetime.
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(250);
    private static readonly int MaxLosses = (int)(FillLeases.Life / RetryInterval);

    // How often a download that gives way looks again, and how long it gives way in all: some clients take hours.
    private static readonly TimeSpan WayInterval = TimeSpan.FromMilliseconds(100);
    private static readonly int MaxWays = (int)(TimeSpan.FromMinutes(10) / WayInterval);

    private FillLease _lease = FillLease.None;
    private int _ways;
    // The spool has bytes of an earlier fill, and no upstream has said yet how long the blob is.
    private bool _isInherited;

    /// <summary>Where the bytes may come from.</summary>
    public FillOrigins Origins => origins;

    public Digest Digest => digest;

    /// <summary>The host and port of the upstream that sends, for logs and errors.</summary>
    public string Authority => origins.Current.Authority;

    /// <summary>The name of the upstream that sends, as in metrics.</summary>
    public string Upstream => origins.Current.Source.Upstream.Origin.Label;

    /// <summary>How many bytes came, without those that an earlier fill had left.</summary>
    public long Received { get; private set; }

    /// <summary>Where the bytes go; null until upstream or another replica has answered.</summary>
    public Spool? Spool { get; private set; }

    /// <summary>Whether the transfer has to stand still at the moment, for those of clients; null where a client waits for it.</summary>
    public Func<bool>? GivesWay { get; set; }

    /// <summary>The other replica that holds the lease; null if this replica downloads.</summary>
    public Uri? Owner => _lease.Owner;

    /// <summary>
    /// Brings all bytes into the spool, unverified; null if the content turned out to be stored already. Origins that fail are left out.
    /// </summary>
    /// <exception cref="UpstreamException">The last origin gave one of the four answers that are not content, to this replica or to the one
    /// that downloads.</exception>
    /// <exception cref="IOException">The store has no room for a spool.</exception>
    public async Task<Spool?> ReceiveAsync(CancellationToken stop)
    {
        while (true)
        {
            var turn = origins.Begin(stop);
            try
            {
                var spool = await ReceiveFromAnyAsync(turn);
                if (spool is null)
                    origins.SendClientsToStore();
                return spool;
            }
            catch (Exception ended) when (turn.IsOver && !stop.IsCancellationRequested
                && ended is OperationCanceledException or UpstreamUnavailableException)
            {
                LogGoesOn(digest.ToString(), Spool?.Length ?? 0, $"{turn.Origin.Authority} is slow");
            }
            catch (UpstreamException failure) when (origins.TryGoOnWithout(turn.Origin, failure))
            {
                LogGoesOn(digest.ToString(), Spool?.Length ?? 0, failure.Message);
            }
            catch (DigestMismatchException wrong) when (TryBeginAgain(wrong))
            {
                // Logged.
            }
            finally
            {
                origins.End(turn);
            }
        }
    }

    /// <summary>
    /// Waits until the owner of the lease has stored the blob. An owner that returns its lease before that has failed. Then one of the
    /// waiting replicas takes the lease and stores its own copy.
    /// </summary>
    /// <returns>False if this replica has taken the lease, and has to store the blob.</returns>
    /// <exception cref="IOException">The store cannot be read.</exception>
    public async Task<bool> WaitForOwnerToStoreAsync(CancellationToken stop)
    {
        while (Owner is not null && await content.SizeAsync(digest, stop) is null)
        {
            await Task.Delay(RetryInterval, time, stop);
            await TakeLeaseAsync(orIgnore: false);
        }
        return Owner is not null;
    }

    /// <summary>Makes a side request for one client: it does not read the spool.</summary>
    /// <param name="origin">The client's own.</param>
    /// <param name="end">The offset after the last wanted byte; null for all.</param>
    /// <exception cref="UpstreamException">One of the four answers that are not content.</exception>
    public Task<Content> OpenRangeAsync(FillOrigin origin, long from, long? end, CancellationToken cancellationToken) =>
        origin.Source.OpenRangeAsync(
            origin.Client is null ? Owner : null, origin.Name, digest, from, end, cancellationToken);

    /// <summary>
    /// Drops wrong bytes and leaves out the origin that sent the last of them, so that <see cref="ReceiveAsync"/> can be called again.
    /// False if a client has already got bytes, or if no other origin is left.
    /// </summary>
    public bool TryBeginAgain(DigestMismatchException wrong)
    {
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
        for (var losses = 0; ; losses++)
        {
            // This replica may still hold the lease from an earlier turn.
            if (Owner is not null || _lease == FillLease.None)
                await TakeLeaseAsync(orIgnore: mustDownload || losses > MaxLosses);
            try
            {
                return Owner is { } owner ? await FollowAsync(owner, turn) : await DownloadAsync(turn);
            }
            catch (ReplicaLostException lost) when (lost.HasFailed && !turn.Origin.IsProved)
            {
                throw new UpstreamUnavailableException(lost.Message, lost);
            }
            catch (ReplicaLostException lost)
            {
                // Log each lost replica once, not each attempt.
                var length = Spool?.Length ?? 0;
                if (length != loggedAt)
                {
                    LogLost(digest.ToString(), length, lost.Message);
                    metrics.TookOver();
                }
                loggedAt = length;
                if (lost.HasFailed)
                    // From now on download without the lease. The next replica that takes it may also wait long for an upstream that this
                    // replica can reach.
                    losses = MaxLosses;
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
        _lease = lease.Owner is not null && orIgnore ? FillLease.None : lease;
    }

    private async Task<Spool> FollowAsync(Uri owner, FillTurn turn)
    {
        var origin = turn.Origin;
        // Wait for the owner's response first. When it arrives, the owner has opened the spool that a later fill can resume. In a shared
        // folder this replica needs a spool with another name.
        await using var body = await origin.Source.FollowAsync(owner, origin.Name, digest, Spool?.Length ?? 0, null, turn.Stop);
        origin.IsProved = true;
        metrics.Followed();
        Spool ??= await content.SpoolPrivatelyAsync(digest, turn.Stop);
        await CopyAsync(body, Spool, turn);
        return Spool;
    }

    private async Task<Spool?> DownloadAsync(FillTurn turn)
    {
        var (origin, stop) = (turn.Origin, turn.Stop);
        // 1. Look into the store again: the previous owner of the lease stored the blob before it returned the lease.
        await using (var stored = await content.OpenAsync(digest, stop))
            if (stored is not null)
            {
                if (Spool is not null)
                    await CopyAsync(stored, Spool, turn);
                return Spool;
            }

        // 2. Open a spool, unless an earlier attempt has one. Keep what an earlier fill left in it, if that is not longer than the blob.
        // It may even be the whole blob, if that fill ended before the commit.
        if (Spool is null)
        {
            Spool = await content.SpoolAsync(digest, stop);
            _isInherited = Spool.Length > 0;
        }
        if (_isInherited)
        {
            var size = await origin.Source.Upstream.HeadBlobAsync(origin.Name, digest, null, stop);
            origin.IsProved = true;
            _isInherited = false;
            if (size >= Spool.Length)
            {
                LogResumed(digest.ToString(), Spool.Length);
                Spool.Continue();
            }
            else
                Spool.Reset();
            if (size == Spool.Length)
            {
                Spool.ExpectedLength ??= size;
                AdmitEarly(Spool);
                return Spool;
            }
        }

        // 3. Download the rest.
        await using var body = await origin.Source.DownloadAsync(origin.Name, digest, Spool.Length, stop);
        origin.IsProved = true;
        await CopyAsync(body, Spool, turn);
        return Spool;
    }

    private async Task CopyAsync(Content body, Spool spool, FillTurn turn)
    {
        if (!origins.HaveAdmitted)
            spool.ExpectedLength = body.Length ?? spool.ExpectedLength;
        else if (body.Length is { } length && spool.ExpectedLength is { } promised && length != promised)
            // Clients were told the other length: let none of them take a part for the whole.
            throw new DigestMismatchException($"{Authority} says that {digest} has {length} bytes, and another source said {promised}.");
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        var isFirst = true;
        try
        {
            while (true)
            {
                // Read up to the next multiple of the buffer size: writing whole pages costs the file system half as much.
                var reading = body.ReadAsync(spool.Length, buffer.AsMemory(0, BufferSize - (int)(spool.Length % BufferSize)), turn.Stop);
                // Usually the first bytes arrive with the headers, and readers are admitted after them. If no byte has arrived yet, admit
                // readers now: then they can send their headers.
                if (!reading.IsCompleted)
                    AdmitEarly(spool);
                if (await reading is not (> 0 and var read))
                    break;
                if (turn.Origin.Source.MaxLength(body, turn.Origin.Name, digest) is var max && spool.Length + read > max)
                    throw new DigestMismatchException($"{Authority} sent more than {max} bytes for {digest}.");
                spool.Append(buffer.AsSpan(0, read));
                Received += read;
                turn.Received(read);
                for (; GivesWay?.Invoke() == true && _ways < MaxWays; _ways++)
                    await Task.Delay(WayInterval, time, turn.Stop);
                if (isFirst && AdmitEarly(spool))
                {
                    isFirst = false;
                    // Readers' continuations were just queued on this thread. Yield, or they would run only when the next read blocks.
                    await Task.Yield();
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // The last 4 KiB are held back. Readers of shorter content would get its headers and nothing else, so they wait until the digest is
    // verified: wrong content is then an error and not an empty body.
    private bool AdmitEarly(Spool spool)
    {
        if (!(spool.ExpectedLength > Spool.TailLength || spool.Length > Spool.TailLength))
            return false;
        origins.AdmitClients();
        return true;
    }

    [LoggerMessage(Level = LogLevel.Information,
        Message = "the download of {Digest} continues at byte {Offset} from another repository or upstream: {Reason}")]
    private partial void LogGoesOn(string digest, long offset, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "resuming the download of {Digest} at byte {Offset}")]
    private partial void LogResumed(string digest, long offset);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "the replica that downloads {Digest} does not answer any more: "
            + "this replica continues at byte {Offset} from another source: {Reason}")]
    private partial void LogLost(string digest, long offset, string reason);
}
