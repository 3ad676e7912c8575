using System.Diagnostics;
using System.Runtime.CompilerServices;
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

    private readonly FillContext _context;
    private readonly bool _here;
    private readonly TaskCompletionSource<bool> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly HashSet<RepositoryName> _names = [];
    private readonly ActivityContext _askedBy = Activity.Current?.Context ?? default;
    private Spool? _spool;
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

    /// <summary>The replica that downloads it in place of this one, where <see cref="Opened"/> is false for that reason.</summary>
    public Uri? Elsewhere { get; private set; }

    /// <summary>
    /// Completes when upstream has answered: true, and readers may follow; false, the content turned out to be stored already, or to be on its way elsewhere.
    /// </summary>
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
    public FillContent OpenRead(RepositoryName name) => new(this, _context, name, _spool!);

    /// <summary>Fetches, verifies, publishes, links. Never throws: readers and <see cref="Opened"/> get what went wrong.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        await using var lease = await _context.Leases.TakeAsync(Digest);
        if (lease.Owner is { } owner && !_here)
        {
            Elsewhere = owner;
            _opened.SetResult(false);
            await LeaveAsync();
            return;
        }
        await RunHereAsync(stop);
    }

    private async Task RunHereAsync(CancellationToken stop)
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

        // 2. A spool, perhaps with what an earlier process got.
        _spool = await _context.Content.SpoolAsync(Digest, stop);
        var size = _spool.Length > 0 ? await _context.Upstream.HeadBlobAsync(Name, Digest, stop) : null;
        if (size >= _spool.Length)
            LogResumed(Digest.ToString(), _spool.Length);
        else
            _spool.Reset();

        // 3. Upstream's answer, then its bytes. The spool is whole already where only the commit was lost.
        if (size == _spool.Length)
            Open(size);
        else
        {
            await using var source = await OpenSourceAsync(_spool.Length, stop);
            Open(source.Length);
            await LetClientsGoFirst();
            await CopyAsync(source, _spool, stop);
        }

        // 4. Only what its digest names is published, or given its end.
        if (!await _spool.VerifyAsync(Digest, stop))
            throw new DigestMismatchException($"{_context.Upstream.Origin.Authority} sent other bytes than {Digest} names; nothing of it is kept.");
        _spool.Complete();
        await PublishAsync(_spool, stop);
        return true;
    }

    private async Task<Content> OpenSourceAsync(long from, CancellationToken stop)
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
        _spool!.ExpectedLength = length;
        _opened.SetResult(true);
    }

    private async Task CopyAsync(Content source, Spool spool, CancellationToken stop)
    {
        var buffer = new byte[BufferSize];
        while (await source.ReadAsync(spool.Length, buffer, stop) is > 0 and var read)
        {
            _context.Metrics.UpstreamBytes(UpstreamKind.Blob, read);
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
            await _context.Content.CommitAsync(spool, Digest, stop);
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

    private void LogNotStored(string digest, string reason) => LogNotStored(_context.Log, digest, reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the download of {Digest} from {Upstream} failed: {Reason}")]
    private static partial void LogFailed(ILogger log, string digest, string upstream, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "the download of {Digest} goes on behind byte {Offset}, where an earlier one ended")]
    private static partial void LogResumed(ILogger log, string digest, long offset);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Digest} was served but cannot be stored: {Reason}")]
    private static partial void LogNotStored(ILogger log, string digest, string reason);
}

/// <summary>Upstream's bytes are not what their digest names.</summary>
public sealed class DigestMismatchException(string message) : IOException(message);
