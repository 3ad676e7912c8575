using System.Diagnostics;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// One blob on its way from upstream into the store. It belongs to the server: clients follow its spool, come and go, and it goes on.
/// </summary>
public sealed partial class Fill
{
    private readonly FillContext _context;
    private readonly TaskCompletionSource<bool> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly HashSet<RepositoryName> _names = [];
    private readonly ActivityContext _askedBy = Activity.Current?.Context ?? default;
    private bool _linking;
    private long _ahead;
    // The fill itself and every client that reads or is about to: the spool's file closes with the last of them.
    private int _holders = 1;

    internal Fill(FillContext context, RepositoryName name, Digest digest, bool ignoreLease)
    {
        (_context, Name, Digest) = (context, name, digest);
        Transfer = new FillTransfer(context, name, digest, ignoreLease, () => _opened.TrySetResult(true));
        _names.Add(name);
        // Nobody may be left to observe it.
        _ = _opened.Task.ContinueWith(static opened => opened.Exception, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously);
    }

    /// <summary>The repository it is fetched from.</summary>
    public RepositoryName Name { get; }

    public Digest Digest { get; }

    /// <summary>How its bytes come.</summary>
    internal FillTransfer Transfer { get; }

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
        if (Transfer.Spool is { } spool)
            await spool.DisposeAsync();
    }

    /// <summary>A reader of the bytes as they come, which leaves when disposed. Only for one who joined, and once <see cref="Opened"/> is true.</summary>
    /// <param name="name">The repository whose right is used where the reader must ask upstream itself.</param>
    public FillContent OpenRead(RepositoryName name) => new(this, name, Transfer.Spool!);

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
            Transfer.Spool?.Fail(failure);
            // A full disk is not relieved by what filled it; what upstream cut off is worth keeping, where it is found again.
            if (failure is IOException || Transfer.IsPrivate)
                Transfer.Spool?.Delete();
            _opened.TrySetException(failure);
        }
        finally
        {
            span.EndFill(Transfer.Spool?.Length ?? 0, error);
            await LeaveAsync();
            await Transfer.DisposeAsync();
            _context.Metrics.FillEnded(completed, _context.Time.GetElapsedTime(started).TotalSeconds);
        }
    }

    private async Task<bool> FetchAsync(CancellationToken stop)
    {
        if (await Transfer.ReceiveAsync(stop) is not { } spool)
        {
            // The fill before this one ended between a client's look into the store and its joining here.
            _opened.SetResult(false);
            return true;
        }
        // Only what its digest names is published, or given its end.
        if (!await spool.VerifyAsync(Digest, stop))
            throw new DigestMismatchException($"{_context.Upstream.Origin.Authority} sent other bytes than {Digest} names; nothing of it is kept.");
        spool.Complete();
        await PublishAsync(spool, stop);
        return true;
    }

    // The clients have their bytes; a store that fails costs the next client a download, and is said.
    private async Task PublishAsync(Spool spool, CancellationToken stop)
    {
        try
        {
            if (await Transfer.IsStoredElsewhereAsync(stop))
                spool.Delete();
            else
            {
                await _context.Content.CommitAsync(spool, Digest, stop);
                _context.Cache.Stored(spool.Length);
            }
            foreach (var name in NamesToLink())
                await _context.References.LinkBlobAsync(name, Digest, stop);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
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

    private void LogNotStored(string digest, string reason) => LogNotStored(_context.Log, digest, reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the download of {Digest} from {Upstream} failed: {Reason}")]
    private static partial void LogFailed(ILogger log, string digest, string upstream, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Digest} was served but cannot be stored: {Reason}")]
    private static partial void LogNotStored(ILogger log, string digest, string reason);
}

/// <summary>Upstream's bytes are not what their digest names.</summary>
public sealed class DigestMismatchException(string message) : IOException(message);
