using System.Diagnostics;
using System.Runtime.CompilerServices;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// One blob on its way from upstream into the store. It belongs to the server: clients follow its spool, come and go, and it goes on.
/// </summary>
public sealed partial class Fill
{
    // Large enough that a wake-up of the readers and a system call are paid for, small enough that many fills fit in memory.
    private const int BufferSize = 256 * 1024;

    // Where neither a body, nor the registry, nor a manifest says how long it is. None of the known registries is so silent.
    private const long MostOfUnknownLength = 256 << 20;

    // Where the replica that downloads is lost: how often it is looked who does so now. Together as long as a lease lives without its holder.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private static readonly int MostLosses = (int)(FillLeases.Life / Pause);

    private readonly FillContext _context;
    private readonly bool _here;
    private readonly TaskCompletionSource<bool> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly HashSet<RepositoryName> _names = [];
    private readonly ActivityContext _askedBy = Activity.Current?.Context ?? default;
    private Spool? _spool;
    private FillLease _lease = FillLease.None;
    private bool _linking;
    private long _ahead;
    // The fill itself and every client that reads or is about to: the spool's file closes with the last of them.
    private int _holders = 1;

    internal Fill(FillContext context, RepositoryName name, Digest digest, bool here)
    {
        (_context, Name, Digest, _here) = (context, name, digest, here);
        _names.Add(name);
        // Nobody may be left to observe it.
        _ = _opened.Task.ContinueWith(static opened => opened.Exception, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously);
    }

    /// <summary>The repository it is fetched from.</summary>
    public RepositoryName Name { get; }

    public Digest Digest { get; }

    /// <summary>The replica that downloads it for this one as well; null where this one does.</summary>
    public Uri? Owner => _lease.Owner;

    /// <summary>Completes when upstream has answered: true, and readers may follow; false, the content turned out to be stored already.</summary>
    /// <exception cref="UpstreamException">Upstream gave one of the other answers.</exception>
    /// <exception cref="IOException">The store has no place for a spool.</exception>
    public Task<bool> Opened => _opened.Task;

    /// <summary>Whether a repository's right to this blob is known already.</summary>
    public bool IsFor(RepositoryName name)
    {
        lock (_gate)
            return _names.Contains(name);
    }

    /// <summary>Also links the blob into a repository that proved its right to it; false where it is too late for that.</summary>
    public bool TryAdd(RepositoryName name)
    {
        lock (_gate)
        {
            if (!_linking)
                _names.Add(name);
            return !_linking;
        }
    }

    /// <summary>
    /// Whether so many bytes may be asked of upstream beside the fill, by a reader that is far ahead of it. All of them together have a tenth of the
    /// blob: a crowd that comes back for the rest of what was cut would otherwise cost a download each.
    /// </summary>
    internal bool TryGoAhead(long bytes, long length)
    {
        lock (_gate)
        {
            if (_ahead + bytes > length / 10)
                return false;
            _ahead += bytes;
            return true;
        }
    }

    /// <summary>Keeps the bytes readable until <see cref="LeaveAsync"/>; false where the fill is over and its bytes are let go.</summary>
    internal bool TryJoin()
    {
        lock (_gate)
        {
            if (_holders == 0)
                return false;
            _holders++;
            return true;
        }
    }

    /// <summary>Ends what <see cref="TryJoin"/> began.</summary>
    internal async ValueTask LeaveAsync()
    {
        lock (_gate)
        {
            if (--_holders > 0)
                return;
        }
        if (_spool is not null)
            await _spool.DisposeAsync();
    }

    /// <summary>A reader of the bytes as they come, which leaves when disposed. Only for one who joined, and once <see cref="Opened"/> is true.</summary>
    /// <param name="name">The repository whose right is used where the reader must ask upstream itself.</param>
    public FillContent OpenRead(RepositoryName name) => new(this, name, _spool!);

    /// <summary>Asks for bytes beside the fill, where that has its own from.</summary>
    /// <param name="name">The repository whose right is used.</param>
    /// <param name="end">The byte behind the last one wanted; null for all.</param>
    /// <exception cref="UpstreamException">One of the three answers that are not content.</exception>
    internal async Task<Content> OpenBesideAsync(RepositoryName name, long from, long? end, CancellationToken cancellationToken)
    {
        try
        {
            if (Owner is { } owner)
                return await FollowedContent.OpenAsync(_context, owner, name, Digest, from, end, cancellationToken);
        }
        catch (ReplicaLostException)
        {
            // Upstream itself, then.
        }
        return await UpstreamContent.OpenAsync(_context.Upstream, name, Digest, from, end, _context.Time, cancellationToken);
    }

    /// <summary>Fetches, verifies, publishes, links. Never throws: readers and <see cref="Opened"/> get what went wrong.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        var started = _context.Time.GetTimestamp();
        var completed = false;
        string? error = null;
        _context.Metrics.FillStarted();
        var span = Traces.StartFill(ContentKind.Blob, Digest, Name, _context.Upstream.Origin.Authority, _askedBy);
        try
        {
            completed = await FetchAsync(stop);
        }
        catch (Exception failure)
        {
            error = failure.Message;
            if (failure is not UpstreamRefusedException)
                LogFailed(Digest.ToString(), _context.Upstream.Origin.Authority, failure.Message);
            _spool?.Fail(failure);
            // A full disk is not relieved by what filled it; what upstream cut off is worth keeping.
            if (failure is IOException)
                _spool?.Delete();
            _opened.TrySetException(failure);
        }
        finally
        {
            span.EndFill(_spool?.Length ?? 0, error);
            await LeaveAsync();
            await _lease.DisposeAsync();
            _context.Metrics.FillEnded(completed, _context.Time.GetElapsedTime(started).TotalSeconds);
        }
    }

    private async Task<bool> FetchAsync(CancellationToken stop)
    {
        // 1. The fill before this one may have ended between a client's look into the store and its joining here.
        if (await _context.Content.SizeAsync(Digest, stop) is not null)
        {
            _opened.SetResult(false);
            return true;
        }

        // 2. One replica downloads, the others follow it. If it is lost, one of them goes on where it stands.
        for (var losses = 0; ; losses++)
        {
            await TakeLeaseAsync(orGoOnWithout: _here || losses > MostLosses);
            try
            {
                await (Owner is { } owner ? FollowAsync(owner, stop) : DownloadAsync(stop));
                break;
            }
            catch (ReplicaLostException lost)
            {
                LogLost(Digest.ToString(), _spool?.Length ?? 0, lost.Message);
                _context.Metrics.TakenOver();
                if (lost.IsRefused)
                    await _lease.BreakAsync();
                else
                    await Task.Delay(Pause, _context.Time, stop);
            }
        }

        // 3. Only what its digest names is published, or given its end.
        if (!await _spool!.VerifyAsync(Digest, stop))
            throw new DigestMismatchException($"{_context.Upstream.Origin.Authority} sent other bytes than {Digest} names; nothing of it is kept.");
        _spool.Complete();

        // 4. Whoever downloads stores it, before the lease ends. The others see to it that it does.
        while (Owner is not null && await _context.Content.SizeAsync(Digest, stop) is null)
        {
            await Task.Delay(Pause, _context.Time, stop);
            await TakeLeaseAsync(orGoOnWithout: false);
        }
        await PublishAsync(_spool, stop);
        return true;
    }

    private async ValueTask TakeLeaseAsync(bool orGoOnWithout)
    {
        var lease = await _context.Leases.TakeAsync(Digest);
        _lease = lease.Owner is not null && orGoOnWithout ? FillLease.None : lease;
    }

    private async Task FollowAsync(Uri owner, CancellationToken stop)
    {
        // Its spool first: what an earlier process left under the digest's own name is for whoever downloads.
        await using var source = await FollowedContent.OpenAsync(_context, owner, Name, Digest, _spool?.Length ?? 0, null, stop);
        _context.Metrics.Followed();
        _spool ??= await _context.Content.SpoolAsideAsync(Digest, stop);
        Open(source.Length);
        await LetClientsGoFirst();
        await CopyAsync(source, _spool, stop);
    }

    private async Task DownloadAsync(CancellationToken stop)
    {
        // 1. A spool, perhaps with what an earlier process got, which is whole already where only the commit was lost. Or the one that followed.
        var tookOver = _spool is not null;
        if (_spool is null)
        {
            _spool = await _context.Content.SpoolAsync(Digest, stop);
            var size = _spool.Length > 0 ? await _context.Upstream.HeadBlobAsync(Name, Digest, stop) : null;
            if (size >= _spool.Length)
                LogResumed(Digest.ToString(), _spool.Length);
            else
                _spool.Reset();
            if (size == _spool.Length)
            {
                Open(size);
                return;
            }
        }

        // 2. Upstream's answer, then its bytes; the replica that was lost may have stored them as its last act.
        await using var source = (tookOver ? await _context.Content.OpenAsync(Digest, stop) : null) ?? await OpenDownloadAsync(_spool.Length, stop);
        Open(source.Length);
        await LetClientsGoFirst();
        await CopyAsync(source, _spool, stop);
    }

    private async Task<Content> OpenDownloadAsync(long from, CancellationToken stop)
    {
        // Several connections only where the blob is long enough for all of them.
        if (_context.ParallelRanges > 1 && await _context.Upstream.HeadBlobAsync(Name, Digest, stop) is { } length
            && length - from > _context.ParallelRanges * (long)ParallelContent.RangeLength)
            return new ParallelContent(_context, Name, Digest, from, length);
        var source = await UpstreamContent.OpenAsync(_context.Upstream, Name, Digest, from, null, _context.Time, stop);
        try
        {
            // Another length than a manifest says: either this body ends too early, or the manifest is wrong. The registry itself can tell, also
            // where nobody has said anything yet.
            if ((source.Length is null || _context.Sizes[Digest] is { } said && said != source.Length) && await _context.Upstream.HeadBlobAsync(Name, Digest, stop) is { } whole)
                source.Expect(whole);
            return source;
        }
        catch
        {
            await source.DisposeAsync();
            throw;
        }
    }

    private void Open(long? length)
    {
        _spool!.ExpectedLength ??= length;
        _opened.TrySetResult(true);
    }

    private async Task CopyAsync(Content source, Spool spool, CancellationToken stop)
    {
        var buffer = new byte[BufferSize];
        while (await source.ReadAsync(spool.Length, buffer, stop) is > 0 and var read)
        {
            // A body that goes on for ever must not fill the disk.
            var most = source.Length ?? _context.Sizes[Digest] ?? MostOfUnknownLength;
            if (spool.Length + read > most)
                throw new DigestMismatchException($"{_context.Upstream.Origin.Authority} sent more than {most} bytes for {Digest}.");
            var first = spool.Length == 0;
            spool.Append(buffer.AsSpan(0, read));
            if (first)
                await LetClientsGoFirst();
        }
    }

    // Whoever waits was just queued on this thread. Until the next byte is late it would stay there, or wait for another thread to wake up.
    private static YieldAwaitable LetClientsGoFirst() => Task.Yield();

    // The clients have their bytes; a store that fails costs the next client a download, and is said.
    private async Task PublishAsync(Spool spool, CancellationToken stop)
    {
        try
        {
            if (Owner is null)
                await _context.Content.CommitAsync(spool, Digest, stop);
            else
                spool.Delete();
            foreach (var name in NamesToLink())
                await _context.References.LinkBlobAsync(name, Digest, stop);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            LogNotStored(Digest.ToString(), failure.Message);
            spool.Delete();
        }
    }

    private RepositoryName[] NamesToLink()
    {
        lock (_gate)
        {
            _linking = true;
            return [.. _names];
        }
    }

    private void LogFailed(string digest, string upstream, string reason) => LogFailed(_context.Log, digest, upstream, reason);

    private void LogResumed(string digest, long offset) => LogResumed(_context.Log, digest, offset);

    private void LogLost(string digest, long offset, string reason) => LogLost(_context.Log, digest, offset, reason);

    private void LogNotStored(string digest, string reason) => LogNotStored(_context.Log, digest, reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the download of {Digest} from {Upstream} failed: {Reason}")]
    private static partial void LogFailed(ILogger log, string digest, string upstream, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "the download of {Digest} goes on behind byte {Offset}, where an earlier one ended")]
    private static partial void LogResumed(ILogger log, string digest, long offset);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Digest} goes on behind byte {Offset} from wherever it can be had now: {Reason}")]
    private static partial void LogLost(ILogger log, string digest, long offset, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Digest} was served but cannot be stored: {Reason}")]
    private static partial void LogNotStored(ILogger log, string digest, string reason);
}

/// <summary>Upstream's bytes are not what their digest names.</summary>
public sealed class DigestMismatchException(string message) : IOException(message);
