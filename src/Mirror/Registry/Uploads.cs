using System.Collections.Concurrent;
using Mirror.Limits;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Registry;

/// <summary>
/// The uploads that are open in this process; their bytes are in the store. One request at a time may hold an upload. It stays open between
/// requests, so that its bytes are hashed as they arrive. After an idle minute it is closed, or when too many are open: those with the
/// fewest bytes go first. The next request opens and hashes it again.
/// </summary>
public sealed class Uploads : IDisposable
{
    private static readonly TimeSpan IdleTime = TimeSpan.FromMinutes(1);

    private readonly IUploadStore _store;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<(RepositoryName Name, Guid Id), Lazy<Task<Upload?>>> _open = new();
    private readonly ITimer _timer;

    public Uploads(IUploadStore store, TimeProvider time)
    {
        (_store, _time) = (store, time);
        _timer = time.CreateTimer(_ => CloseIdle(IdleTime), null, IdleTime, IdleTime);
    }

    /// <summary>The uploads that are open in this process: their repositories, their bytes so far, and whether a request writes to
    /// them now.</summary>
    public IEnumerable<(RepositoryName Name, Guid Id, long Length, bool IsHeld)> Open =>
        from open in _open
        let upload = Opened(open.Value)
        where upload is { IsEnded: false }
        select (upload.Name, upload.Id, upload.Length, upload.IsHeld);

    /// <summary>Begins an upload.</summary>
    public async ValueTask<Guid> StartAsync(RepositoryName name, CancellationToken cancellationToken)
    {
        var id = Guid.NewGuid();
        await _store.StartAsync(name, id, _time.GetUtcNow(), cancellationToken);
        return id;
    }

    /// <summary>How many bytes of an upload have arrived, also while a request holds it; null where there is no such upload.</summary>
    public async ValueTask<long?> LengthAsync(RepositoryName name, Guid id, CancellationToken cancellationToken) =>
        _open.TryGetValue((name, id), out var open) && Opened(open) is { IsEnded: false } upload
            ? upload.Length
            : await _store.LengthAsync(name, id, cancellationToken);

    /// <summary>
    /// Holds an upload for one request, until the result is disposed; null where there is no such upload. Dispose it before the answer is
    /// sent: the client's next request may follow at once.
    /// </summary>
    /// <param name="algorithm">The hash to compute while bytes arrive, if this call opens the upload.</param>
    /// <exception cref="RegistryException">Another request holds it.</exception>
    public async ValueTask<HeldUpload?> HoldAsync(RepositoryName name, Guid id, string algorithm, CancellationToken cancellationToken)
    {
        while (true)
        {
            // Concurrent callers share one open: the file is exclusive.
            var own = new Lazy<Task<Upload?>>(() => OpenAsync(name, id, algorithm));
            var open = _open.GetOrAdd((name, id), own);
            Upload? upload = null;
            try
            {
                upload = await open.Value.WaitAsync(cancellationToken);
            }
            finally
            {
                if (upload is null)
                    _open.TryRemove(new((name, id), open));
            }
            if (upload is null)
                return null;
            switch (upload.TryHold())
            {
                case true:
                    return new HeldUpload(this, upload);
                case false:
                    throw new RegistryException(
                        RegistryError.UploadBusy,
                        "another request writes to this upload; wait until it ends, ask for the status, and continue from there");
                default:
                    _open.TryRemove(new((name, id), open));
                    continue;
            }
        }
    }

    /// <summary>Deletes the uploads that got no bytes since <paramref name="before"/>, and returns them. Open uploads are kept.</summary>
    /// <param name="dryRun">Whether they are returned without being deleted.</param>
    public async IAsyncEnumerable<StoredUpload> PurgeAsync(
        DateTimeOffset before, bool dryRun, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var stored in _store.ListAsync(cancellationToken))
        {
            if (stored.LastWritten >= before || _open.ContainsKey((stored.Name, stored.Id)))
                continue;
            if (dryRun || await DeleteIdleAsync(stored, before, cancellationToken))
                yield return stored;
        }
    }

    /// <inheritdoc cref="IUploadStore.ListAsync"/>
    public IAsyncEnumerable<StoredUpload> ListAsync(CancellationToken cancellationToken) => _store.ListAsync(cancellationToken);

    /// <inheritdoc cref="IUploadStore.DeleteIdleAsync"/>
    public ValueTask<bool> DeleteIdleAsync(StoredUpload upload, DateTimeOffset before, CancellationToken cancellationToken) =>
        _store.DeleteIdleAsync(upload.Name, upload.Id, before, cancellationToken);

    /// <summary>Closes every upload. The bytes that have arrived stay for the next process.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        CloseIdle(TimeSpan.Zero);
    }

    internal void Release(Upload upload)
    {
        upload.Release(_time.GetTimestamp());
        if (_open.Count > OpenFiles.MaxIdleUploads)
            CloseShortest();
    }

    internal async ValueTask DeleteAsync(Upload upload)
    {
        upload.End();
        _open.TryRemove((upload.Name, upload.Id), out _);
        await _store.DeleteAsync(upload.Name, upload.Id, CancellationToken.None);
    }

    private async Task<Upload?> OpenAsync(RepositoryName name, Guid id, string algorithm) =>
        // Not cancelled when the client leaves: other requests may wait for the same open.
        await _store.OpenAsync(name, id, algorithm, CancellationToken.None) is { } spool
            ? new Upload(name, id, spool, _time.GetTimestamp())
            : null;

    private static Upload? Opened(Lazy<Task<Upload?>> open) =>
        open is { IsValueCreated: true, Value: { IsCompletedSuccessfully: true, Result: var upload } } ? upload : null;

    // One at a time: more than one request does not leave at a time.
    private void CloseShortest()
    {
        var idle = _open.Where(each => Opened(each.Value) is { IsHeld: false }).ToList();
        if (idle.Count > OpenFiles.MaxIdleUploads)
            Close(idle.MinBy(each => Opened(each.Value)!.Length));
    }

    private void Close(KeyValuePair<(RepositoryName Name, Guid Id), Lazy<Task<Upload?>>> open)
    {
        if (Opened(open.Value) is not { } upload || upload.TryHold() is not true)
            return;
        upload.End();
        _open.TryRemove(open);
    }

    private void CloseIdle(TimeSpan idle)
    {
        foreach (var open in _open)
            if (Opened(open.Value) is { } upload && _time.GetElapsedTime(upload.LastHeld) >= idle)
                Close(open);
    }
}

/// <summary>An open upload.</summary>
internal sealed class Upload(RepositoryName name, Guid id, Spool spool, long now)
{
    private readonly Lock _gate = new();
    private bool _held;
    private bool _ended;
    private long _lastHeld = now;

    public RepositoryName Name => name;
    public Guid Id => id;
    public Spool Spool => spool;
    public long Length => spool.Length;
    public bool IsEnded => Volatile.Read(ref _ended);
    public bool IsHeld => Volatile.Read(ref _held);
    public long LastHeld => Volatile.Read(ref _lastHeld);

    /// <summary>True if the caller holds it now; false if another request does; null if it has ended.</summary>
    public bool? TryHold()
    {
        lock (_gate)
        {
            if (_ended)
                return null;
            if (_held)
                return false;
            return _held = true;
        }
    }

    public void Release(long now)
    {
        lock (_gate)
            (_held, _lastHeld) = (false, now);
    }

    /// <summary>Closes the file for good. Only the holder may call it.</summary>
    public void End()
    {
        lock (_gate)
        {
            _ended = true;
            spool.Dispose();
        }
    }
}

/// <summary>An upload that one request holds.</summary>
public sealed class HeldUpload : IDisposable
{
    private readonly Uploads _uploads;
    private readonly Upload _upload;

    internal HeldUpload(Uploads uploads, Upload upload) => (_uploads, _upload) = (uploads, upload);

    public Spool Spool => _upload.Spool;

    /// <summary>How many bytes have arrived.</summary>
    public long Length => _upload.Length;

    /// <summary>Deletes the upload. Later requests get 404.</summary>
    public ValueTask DeleteAsync() => _uploads.DeleteAsync(_upload);

    public void Dispose() => _uploads.Release(_upload);
}
