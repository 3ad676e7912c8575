using System.Diagnostics;
using Mirror.Health;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// One download of a blob into the store, from upstream or from another replica. It belongs to the server: clients read its spool, come and
/// go, and the download goes on.
/// </summary>
internal sealed partial class Fill(
    FillTransfer transfer, IContentStore content, IReferenceStore references, IProvenanceStore provenance, CacheSize cache,
    StoreWrites writes, FillMetrics metrics, TimeProvider time, ILogger log)
{
    // All side requests of a fill together may fetch a tenth of the blob's bytes: one part in this number (see TryReserveSideRequest).
    private const int SideRequestShare = 10;

    private readonly Lock _gate = new();
    private readonly ActivityContext _request = Activity.Current?.Context ?? default;
    private readonly DateTimeOffset _started = time.GetUtcNow();
    private long _sideRequested;
    private int _clients;
    // Counts the fill itself, and each client that reads the spool or will read it soon. The last one to leave closes the spool.
    private int _holders = 1;

    public Digest Digest => transfer.Digest;

    /// <summary>Brings the bytes into the spool.</summary>
    public FillTransfer Transfer => transfer;

    /// <summary>The repositories from which the bytes may come. The fill links the blob into a repository only if the upstream of this
    /// repository has shown that the repository may serve the blob.</summary>
    public FillOrigins Origins => transfer.Origins;

    /// <summary>How many bytes have come, from where, and for how many clients.</summary>
    public RunningFill Progress
    {
        get
        {
            int clients;
            lock (_gate)
                clients = Math.Max(0, _holders - 1);
            var (received, spooled) = (transfer.Received, transfer.Spool?.Length ?? 0);
            return new(
                Digest, Origins.Names, transfer.Upstream, transfer.LeaseOwner, _started, Math.Max(0, spooled - received), spooled,
                transfer.Spool?.ExpectedLength, clients);
        }
    }

    /// <summary>
    /// Whether the server may send a side request for this many bytes, for a reader that is far ahead of the download. All side requests of
    /// the fill share a budget of a tenth of the blob. Without this budget, each client that resumes would cause its own download.
    /// </summary>
    public bool TryReserveSideRequest(long bytes, long length)
    {
        lock (_gate)
        {
            if (_sideRequested + bytes > length / SideRequestShare)
                return false;
            _sideRequested += bytes;
            return true;
        }
    }

    /// <summary>
    /// Keeps the spool open until <see cref="LeaveAsync"/>. False if the spool may already be closed, or if the fill has failed: only
    /// clients that were waiting get the failure, and a later client starts another fill.
    /// </summary>
    public bool TryJoin()
    {
        lock (_gate)
        {
            if (_holders == 0 || Origins.HaveFailed)
                return false;
            _holders++;
            _clients++;
            return true;
        }
    }

    /// <summary>Undoes <see cref="TryJoin"/>.</summary>
    public async ValueTask LeaveAsync()
    {
        lock (_gate)
        {
            if (--_holders > 0)
                return;
        }
        if (transfer.Spool is { } spool)
            await spool.DisposeAsync();
    }

    /// <summary>
    /// Opens a reader of the growing spool. Call it after <see cref="FillOrigin.Opened"/>; disposing the reader also calls
    /// <see cref="LeaveAsync"/>.
    /// </summary>
    public FillContent OpenRead(FillOrigin origin) => new(this, origin, transfer.Spool!);

    /// <summary>Completes when the fill has ended.</summary>
    public Task Ended { get; set; } = Task.CompletedTask;

    /// <summary>Downloads, verifies, stores and links the blob. Never throws: clients get the exception.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var started = time.GetTimestamp();
        var completed = false;
        Exception? failed = null;
        metrics.Started();
        LogStarted(Digest.ToString(), transfer.Upstream, Origins.Current.Name.ToString());
        var span = Traces.StartFill(ContentKind.Blob, Digest, Origins.Current.Name, transfer.Authority, _request);
        try
        {
            if (await ReceiveAsync(stop) is { } spool)
            {
                await cache.PaceAsync(stop);
                spool.Complete();
                // Clients of a small blob have waited for its digest to be verified. Now they may read the spool.
                Origins.AdmitClients();
                await StoreAsync(spool, stop);
            }
            completed = true;
        }
        catch (Exception failure)
        {
            failed = failure;
            if (IsOfTheStore(failure) && failure is not UnreadableException)
                writes.Failed($"blob {Digest}", failure);
            // Free the spool first: a client that has got the failure may ask again at once, and its fill resumes the spool.
            try
            {
                FreeSpool(failure);
            }
            finally
            {
                Origins.Fail(failure);
                transfer.Spool?.Fail(failure);
            }
        }
        finally
        {
            Origins.Close();
            span.EndFill(transfer.Spool?.Length ?? 0, failed?.Message);
            await LeaveAsync();
            await transfer.DisposeAsync();
            var seconds = time.GetElapsedTime(started).TotalSeconds;
            metrics.Ended(completed, seconds);
            LogEnd(seconds, failed);
        }
    }

    // Keep the received bytes of a broken download, so that a later fill can resume it. Delete the spool in two cases: it has a random
    // name, so that no later fill finds it; or the failure is an IOException, because the disk may be full, or the bytes were wrong (a
    // DigestMismatchException is an IOException).
    private void FreeSpool(Exception failure)
    {
        if (failure is IOException || transfer.Spool is { IsResumable: false })
            transfer.Spool?.Delete();
        else
            // Release lets the next fill continue the file at once, while slow clients still read this spool.
            transfer.Spool?.Release();
    }

    // Returns a spool whose digest is correct: the caller lets readers have its last bytes, and stores it. Returns null if the blob was
    // stored already.
    private async Task<Spool?> ReceiveAsync(CancellationToken stop)
    {
        while (true)
            try
            {
                var spool = await transfer.ReceiveAsync(stop);
                if (spool is null || await spool.VerifyAsync(Digest, stop))
                    return spool;
                throw new DigestMismatchException(
                    $"The bytes that {transfer.Authority} sent do not have the digest {Digest}; they are dropped.");
            }
            catch (DigestMismatchException wrong) when (transfer.TryBeginAgain(wrong))
            {
                // TryBeginAgain has logged it.
            }
    }

    // The spool is complete: the clients that read it get all of it. If the store fails now, these clients do not notice it: a later client
    // causes another download.
    private async Task StoreAsync(Spool spool, CancellationToken stop)
    {
        RepositoryName? linked = null;
        try
        {
            // If the hash began at a checkpoint, hash the whole file again before it gets its final name. No client waits for this.
            if (!await spool.VerifyAgainAsync(Digest, stop))
            {
                LogChanged(Digest.ToString());
                spool.Delete();
                return;
            }
            // If this replica follows another one, the other one reserves the room in the cache.
            var isFollowing = transfer.LeaseOwner is not null;
            var mustLink = isFollowing || await cache.ReserveAsync(Digest, spool.Length, stop);
            // Link first and commit second. In the other order, a request between the two would find content without a link, and ask
            // upstream. A link without content does no harm: upstream has shown that the repository may serve the blob.
            var names = Origins.Close();
            foreach (var name in mustLink ? names : [])
            {
                linked = name;
                await LinkAsync(name, stop);
            }
            // If the other replica has stored the blob, this one only deletes its own spool.
            var mustStore = isFollowing
                ? !await transfer.WaitForOwnerToStoreAsync(stop) && await cache.ReserveAsync(Digest, spool.Length, stop)
                : mustLink;
            if (!mustStore)
            {
                spool.Delete();
                return;
            }
            await content.CommitAsync(spool, Digest, stop);
            cache.Stored(Digest);
            writes.Succeeded();
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            cache.Release(Digest);
            writes.Failed($"blob {Digest}", failure, linked);
            spool.Delete();
        }
    }

    private async ValueTask LinkAsync(RepositoryName name, CancellationToken stop)
    {
        await provenance.MarkAsync(name, Digest, Provenance.Copied, stop);
        await references.LinkBlobAsync(name, Digest, stop);
    }

    private void LogEnd(double seconds, Exception? failed)
    {
        var (digest, bytes, rate) = (Digest.ToString(), transfer.Received, (long)(transfer.Received / Math.Max(seconds, 1e-6)));
        seconds = Math.Round(seconds, 3);
        if (failed is null)
        {
            LogEnded(digest, transfer.Upstream, transfer.LeaseOwner, bytes, seconds, rate, _clients);
            return;
        }
        // Other code logs a 404 of upstream and a cancellation with each request, and failures of the store once a minute. So these three
        // are logged here as information, and every other failure as a warning.
        var isLoggedElsewhere = failed is UpstreamMissingException or OperationCanceledException || IsOfTheStore(failed);
        var advice = failed is DigestMismatchException ? DigestMismatchException.Advice : (failed as UpstreamException)?.Advice;
        LogFailed(
            isLoggedElsewhere ? LogLevel.Information : LogLevel.Warning,
            digest, transfer.Upstream, bytes, seconds, _clients, failed.Message, advice);
    }

    private static bool IsOfTheStore(Exception failure) => failure.IsStoreFailure && failure is not DigestMismatchException;

    [LoggerMessage(Level = LogLevel.Information, Message = "download of {Digest} from {Upstream} started, for {Name}")]
    private partial void LogStarted(string digest, string upstream, string name);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "download of {Digest} from {Upstream} ended: {Bytes} bytes in {Seconds} s, {Rate} bytes/s, {Clients} clients")]
    private partial void LogEnded(string digest, string upstream, Uri? replica, long bytes, double seconds, long rate, int clients);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "the temporary file of {Digest} does not match its saved hash state: something changed it since an earlier run. It is deleted, and "
        + "the next request downloads the blob again")]
    private partial void LogChanged(string digest);

    [LoggerMessage(Message =
        "download of {Digest} from {Upstream} failed after {Bytes} bytes and {Seconds} s, {Clients} clients: {Reason}")]
    private partial void LogFailed(
        LogLevel level, string digest, string upstream, long bytes, double seconds, int clients, string reason, string? advice);
}
