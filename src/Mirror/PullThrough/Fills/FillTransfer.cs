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
/// it. If that replica is lost, the transfer resumes at the next owner of the lease, the store, or upstream.
/// </summary>
/// <param name="name">The repository in whose name upstream is asked.</param>
/// <param name="ignoreLease">Whether this replica downloads even if another one has the lease.</param>
internal sealed partial class FillTransfer(
    FillSource source, IContentStore content, FillLeases leases, FleetMetrics metrics, TimeProvider time, ILogger log,
    RepositoryName name, Digest digest, bool ignoreLease) : IAsyncDisposable
{
    // Large enough to pay for the system call and for waking readers; small enough for many fills at once.
    private const int BufferSize = 256 * 1024;

    // How often to look for the new owner of a lost replica's lease. All attempts together last one lease lifetime.
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(250);
    private static readonly int MaxLosses = (int)(FillLeases.Life / RetryInterval);

    private readonly TaskCompletionSource<bool> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private FillLease _lease = FillLease.None;

    public RepositoryName Name => name;

    public Digest Digest => digest;

    /// <summary>The upstream's host and port, for logs and errors.</summary>
    public string Authority => source.Upstream.Origin.Authority;

    /// <summary>The upstream's name, as in metrics.</summary>
    public string Upstream => source.Upstream.Origin.Label;

    /// <summary>How many bytes came, without those that an earlier process had left.</summary>
    public long Received { get; private set; }

    /// <inheritdoc cref="Fill.Opened"/>
    public Task<bool> Opened => _opened.Task;

    /// <summary>Where the bytes go; null until upstream or another replica has answered.</summary>
    public Spool? Spool { get; private set; }

    /// <summary>Whether the spool is for this fill only: a later process cannot find and resume it.</summary>
    public bool IsPrivate { get; private set; }

    /// <summary>The replica that downloads for this one as well; null where this one downloads.</summary>
    public Uri? Owner => _lease.Owner;

    /// <summary>Brings all bytes into the spool, unverified; null if the content turned out to be stored already.</summary>
    /// <exception cref="UpstreamException">Upstream gave another answer, to this replica or to the one that downloads.</exception>
    /// <exception cref="IOException">The store has no room for a spool.</exception>
    public async Task<Spool?> ReceiveAsync(CancellationToken stop)
    {
        try
        {
            var spool = await ReceiveFromAnyAsync(stop);
            if (spool is null)
                _opened.TrySetResult(false);
            return spool;
        }
        catch (Exception failure)
        {
            await RefuseAsync(failure);
            throw;
        }
    }

    /// <summary>Admits the readers that still wait: the content is verified.</summary>
    public void Admit() => _opened.TrySetResult(true);

    /// <summary>Gives the exception to the readers that still wait.</summary>
    public async Task RefuseAsync(Exception failure)
    {
        _opened.TrySetException(failure);
        // Observe the exception, because all clients may have left.
        await ((Task)_opened.Task).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>
    /// Waits until the owner of the lease has stored the blob, which it does before it returns the lease. If it returns the lease without,
    /// it failed, and one of the other replicas takes the lease and stores its own copy.
    /// </summary>
    /// <returns>False where this replica has to store the blob.</returns>
    /// <exception cref="IOException">The store cannot be read.</exception>
    public async Task<bool> IsStoredByOwnerAsync(CancellationToken stop)
    {
        while (Owner is not null && await content.SizeAsync(digest, stop) is null)
        {
            await Task.Delay(RetryInterval, time, stop);
            await TakeLeaseAsync(orIgnore: false);
        }
        return Owner is not null;
    }

    /// <summary>
    /// Opens a part of the blob for one client, apart from the spool. The client's repository may be another one, even of another upstream;
    /// that it may serve the blob was proved before.
    /// </summary>
    /// <param name="end">The offset after the last wanted byte; null for all.</param>
    /// <exception cref="UpstreamException">One of the three answers that are not content.</exception>
    public Task<Content> OpenRangeAsync(long from, long? end, CancellationToken cancellationToken) =>
        source.OpenRangeAsync(Owner, name, digest, from, end, cancellationToken);

    /// <summary>Returns the lease.</summary>
    public ValueTask DisposeAsync() => _lease.DisposeAsync();

    private async Task<Spool?> ReceiveFromAnyAsync(CancellationToken stop)
    {
        var loggedAt = -1L;
        for (var losses = 0; ; losses++)
        {
            await TakeLeaseAsync(orIgnore: ignoreLease || losses > MaxLosses);
            try
            {
                return Owner is { } owner ? await FollowAsync(owner, stop) : await DownloadAsync(stop);
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
                if (lost.IsRefused)
                    await _lease.BreakAsync();
                else
                    await Task.Delay(RetryInterval, time, stop);
            }
        }
    }

    private async ValueTask TakeLeaseAsync(bool orIgnore)
    {
        var lease = await leases.TakeAsync(digest);
        _lease = lease.Owner is not null && orIgnore ? FillLease.None : lease;
    }

    private async Task<Spool> FollowAsync(Uri owner, CancellationToken stop)
    {
        // Wait for the owner's response first: by then it has opened the resumable spool. In a shared folder ours must be another file.
        await using var body = await source.FollowAsync(owner, name, digest, Spool?.Length ?? 0, null, stop);
        metrics.Followed();
        if (Spool is null)
            (Spool, IsPrivate) = (await content.SpoolPrivatelyAsync(digest, stop), true);
        await CopyAsync(body, Spool, stop);
        return Spool;
    }

    private async Task<Spool?> DownloadAsync(CancellationToken stop)
    {
        // 1. Look into the store again: the previous owner of the lease stored the blob before it returned the lease.
        await using (var stored = await content.OpenAsync(digest, stop))
            if (stored is not null)
            {
                if (Spool is not null)
                    await CopyAsync(stored, Spool, stop);
                return Spool;
            }

        // 2. Open a spool, unless an earlier attempt has one. Keep what an earlier process left in it, if that is not longer than the blob.
        // It may even be the whole blob, if that process ended before the commit.
        if (Spool is null)
        {
            Spool = await content.SpoolAsync(digest, stop);
            var size = Spool.Length > 0 ? await source.Upstream.HeadBlobAsync(name, digest, stop) : null;
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
        await using var body = await source.DownloadAsync(name, digest, Spool.Length, stop);
        await CopyAsync(body, Spool, stop);
        return Spool;
    }

    private async Task CopyAsync(Content body, Spool spool, CancellationToken stop)
    {
        spool.ExpectedLength ??= body.Length;
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        var isFirst = true;
        try
        {
            while (true)
            {
                // Read up to the next multiple of the buffer size: writing whole pages costs the file system half as much.
                var reading = body.ReadAsync(spool.Length, buffer.AsMemory(0, BufferSize - (int)(spool.Length % BufferSize)), stop);
                // Usually the first bytes arrive with the headers: admit readers then. If not, admit them now so that they get the headers.
                if (!reading.IsCompleted)
                    AdmitEarly(spool);
                if (await reading is not (> 0 and var read))
                    break;
                if (source.MaxLength(body, name, digest) is var max && spool.Length + read > max)
                    throw new DigestMismatchException($"{Authority} sent more than {max} bytes for {digest}.");
                spool.Append(buffer.AsSpan(0, read));
                Received += read;
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
    private bool AdmitEarly(Spool spool) =>
        (spool.ExpectedLength > Spool.TailLength || spool.Length > Spool.TailLength) && (_opened.TrySetResult(true) || Opened.IsCompleted);

    [LoggerMessage(Level = LogLevel.Information, Message = "resuming the download of {Digest} at byte {Offset}")]
    private partial void LogResumed(string digest, long offset);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "lost the replica that downloads {Digest} at byte {Offset}; resuming there with another source: {Reason}")]
    private partial void LogLost(string digest, long offset, string reason);
}
