using System.Buffers;
using System.Runtime.CompilerServices;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// How the bytes of a fill come into its spool: from upstream, where this replica has the lease, or else from the one that has it. If that one is lost, they go
/// on behind the last byte from whoever has them then.
/// </summary>
/// <param name="name">The repository whose right is used.</param>
/// <param name="ignoreLease">Whether they come from upstream though another replica has the lease.</param>
/// <param name="opened">Is called once upstream, or the other replica, has answered with content: the spool can be read.</param>
internal sealed partial class FillTransfer(FillContext context, RepositoryName name, Digest digest, bool ignoreLease, Action opened) : IAsyncDisposable
{
    // Large enough that a wake-up of the readers and a system call are paid for, small enough that many fills fit in memory.
    private const int BufferSize = 256 * 1024;

    // Where neither a body, nor the registry, nor a manifest says how long it is. None of the known registries is so silent.
    private const long MaxOfUnknownLength = 256 << 20;

    // Where the replica that downloads is lost: how often it is looked who does so now. CrossKeyRules as long as a lease lives without its holder.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private static readonly int MaxLosses = (int)(FillLeases.Life / Pause);

    private FillLease _lease = FillLease.None;

    /// <summary>Where the bytes go; null until somebody has answered.</summary>
    public Spool? Spool { get; private set; }

    /// <summary>Whether no later process would find the spool, and go on with it.</summary>
    public bool IsPrivate { get; private set; }

    /// <summary>The replica that downloads for this one as well; null where this one does.</summary>
    public Uri? Owner => _lease.Owner;

    /// <summary>Brings every byte into the spool, unverified; null where the content is stored already.</summary>
    /// <exception cref="UpstreamException">Upstream gave another answer, here or to the other replica.</exception>
    /// <exception cref="IOException">The store has no place for a spool.</exception>
    public async Task<Spool?> ReceiveAsync(CancellationToken stop)
    {
        var lostAt = -1L;
        for (var losses = 0; ; losses++)
        {
            await TakeLeaseAsync(orGoOnWithout: ignoreLease || losses > MaxLosses);
            try
            {
                return Owner is { } owner ? await FollowAsync(owner, stop) : await DownloadAsync(stop);
            }
            catch (ReplicaLostException lost)
            {
                var length = Spool?.Length ?? 0;
                // Told once of each, however often it is tried.
                if (length != lostAt)
                {
                    LogLost(context.Log, digest.ToString(), length, lost.Message);
                    context.Metrics.TakenOver();
                }
                lostAt = length;
                if (lost.IsRefused)
                    await _lease.BreakAsync();
                else
                    await Task.Delay(Pause, context.Time, stop);
            }
        }
    }

    /// <summary>
    /// Whoever has the lease stores what it downloaded before it gives the lease back. The others wait for that, and if it does not come, one of them
    /// has the lease: false, and this one is to store it.
    /// </summary>
    /// <exception cref="IOException">The store cannot be asked.</exception>
    public async Task<bool> IsStoredElsewhereAsync(CancellationToken stop)
    {
        while (Owner is not null && await context.Content.SizeAsync(digest, stop) is null)
        {
            await Task.Delay(Pause, context.Time, stop);
            await TakeLeaseAsync(orGoOnWithout: false);
        }
        return Owner is not null;
    }

    /// <summary>Asks for bytes beside the spool, where those in it come from.</summary>
    /// <param name="repository">The repository whose right is used.</param>
    /// <param name="end">The byte behind the last one wanted; null for all.</param>
    /// <exception cref="UpstreamException">One of the three answers that are not content.</exception>
    public async Task<Content> OpenBesideAsync(RepositoryName repository, long from, long? end, CancellationToken cancellationToken)
    {
        try
        {
            if (Owner is { } owner)
                return await ReplicaContent.OpenAsync(context, owner, repository, digest, from, end, cancellationToken);
        }
        catch (ReplicaLostException)
        {
            // Upstream itself, then.
        }
        return await UpstreamContent.OpenAsync(context.Upstream, repository, digest, from, end, context.Time, cancellationToken);
    }

    /// <summary>Gives the lease back.</summary>
    public ValueTask DisposeAsync() => _lease.DisposeAsync();

    private async ValueTask TakeLeaseAsync(bool orGoOnWithout)
    {
        var lease = await context.Leases.TakeAsync(digest);
        _lease = lease.Owner is not null && orGoOnWithout ? FillLease.None : lease;
    }

    private async Task<Spool?> FollowAsync(Uri owner, CancellationToken stop)
    {
        // Its answer first: by then it has opened its own spool, which in a shared folder is the one that an earlier process left.
        await using var source = await ReplicaContent.OpenAsync(context, owner, name, digest, Spool?.Length ?? 0, null, stop);
        context.Metrics.Followed();
        if (Spool is null)
            (Spool, IsPrivate) = (await context.Content.SpoolPrivatelyAsync(digest, stop), true);
        await CopyAsync(source, Spool, stop);
        return Spool;
    }

    private async Task<Spool?> DownloadAsync(CancellationToken stop)
    {
        // 1. With the lease in hand: whoever had it before has stored what it downloaded.
        var stored = await context.Content.OpenAsync(digest, stop);
        if (stored is not null)
        {
            await using (stored)
            {
                if (Spool is null)
                    return null;
                await CopyAsync(stored, Spool, stop);
                return Spool;
            }
        }

        // 2. A spool, perhaps with what an earlier process got, which is whole already where only the commit was lost. Or the one that followed.
        if (Spool is null)
        {
            Spool = await context.Content.SpoolAsync(digest, stop);
            var size = Spool.Length > 0 ? await context.Upstream.HeadBlobAsync(name, digest, stop) : null;
            if (size >= Spool.Length)
                LogResumed(context.Log, digest.ToString(), Spool.Length);
            else
                Spool.Reset();
            if (size == Spool.Length)
            {
                Spool.ExpectedLength ??= size;
                opened();
                return Spool;
            }
        }

        // 3. Upstream's answer, then its bytes.
        await using var source = await OpenUpstreamAsync(Spool.Length, stop);
        await CopyAsync(source, Spool, stop);
        return Spool;
    }

    private async Task<Content> OpenUpstreamAsync(long from, CancellationToken stop)
    {
        // Several connections only where the blob is long enough for all of them.
        if (context.ParallelRanges > 1 && await context.Upstream.HeadBlobAsync(name, digest, stop) is { } length
            && length - from > context.ParallelRanges * (long)ParallelContent.RangeLength)
            return new ParallelContent(context, name, digest, from, length);
        var source = await UpstreamContent.OpenAsync(context.Upstream, name, digest, from, null, context.Time, stop);
        try
        {
            // Another length than a manifest says: either this body ends too early, or the manifest is wrong. The registry itself can tell, also
            // where nobody has said anything yet.
            if ((source.Length is null || context.Sizes[digest] is { } said && said != source.Length) && await context.Upstream.HeadBlobAsync(name, digest, stop) is { } whole)
                source.Expect(whole);
            return source;
        }
        catch
        {
            await source.DisposeAsync();
            throw;
        }
    }

    private async Task CopyAsync(Content source, Spool spool, CancellationToken stop)
    {
        spool.ExpectedLength ??= source.Length;
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        var first = true;
        try
        {
            while (true)
            {
                // Up to where another full buffer would begin: whole pages cost the file system half as much.
                var reading = source.ReadAsync(spool.Length, buffer.AsMemory(0, BufferSize - (int)(spool.Length % BufferSize)), stop);
                // Most answers bring their first bytes along, and clients are let in to those. While others take their time, clients learn the length.
                if (!reading.IsCompleted)
                    opened();
                if (await reading is not (> 0 and var read))
                    break;
                // A body that goes on for ever must not fill the disk.
                var most = source.Length ?? context.Sizes[digest] ?? MaxOfUnknownLength;
                if (spool.Length + read > most)
                    throw new DigestMismatchException($"{context.Upstream.Origin.Authority} sent more than {most} bytes for {digest}.");
                spool.Append(buffer.AsSpan(0, read));
                if (first)
                {
                    opened();
                    await LetClientsGoFirst();
                }
                first = false;
            }
            opened();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // Whoever waits was just queued on this thread. Until the next byte is late it would stay there, or wait for another thread to wake up.
    private static YieldAwaitable LetClientsGoFirst() => Task.Yield();

    [LoggerMessage(Level = LogLevel.Information, Message = "the download of {Digest} goes on behind byte {Offset}, where an earlier one ended")]
    private static partial void LogResumed(ILogger log, string digest, long offset);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Digest} goes on behind byte {Offset} from wherever it can be had now: {Reason}")]
    private static partial void LogLost(ILogger log, string digest, long offset, string reason);
}
