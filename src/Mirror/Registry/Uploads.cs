using System.Collections.Concurrent;
using Mirror.Fleet;
using Mirror.Limits;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Registry;

/// <summary>
/// The uploads that clients began at this server. Until the first byte of an upload the server keeps it in memory only, and forgets it
/// after an hour without a request; <see cref="UploadQuotas"/> may end it earlier. Where another replica may get the next request and would
/// not find the upload, the server stores the upload at its beginning. One request at a time may hold an upload. Its file stays open
/// between requests, so that bytes are hashed as they arrive. The server closes the file after an idle minute, and short files first when
/// too many are open. The next request opens the file and hashes it again. An upload ends with its PUT or a DELETE, when it fills the disk,
/// or without new bytes for <c>uploadpurging.age</c> (168 h). <see cref="Maintenance.InterruptedTransfers"/> limits interrupted uploads and
/// downloads together.
/// </summary>
public sealed class Uploads : IDisposable
{
    private static readonly TimeSpan IdleTime = TimeSpan.FromMinutes(1);
    // Some clients begin the uploads of all layers at once, and send the bytes of some of them much later.
    private static readonly TimeSpan EmptyTime = TimeSpan.FromHours(1);

    private readonly IUploadStore _store;
    private readonly UploadQuotas _quotas;
    private readonly UploadOwners _owners;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<(RepositoryName Name, Guid Id), BegunUpload> _known = new();
    private readonly ConcurrentDictionary<(RepositoryName Name, Guid Id), Lazy<Upload?>> _open = new();
    private readonly Lock _closing = new();
    private readonly ITimer _timer;

    public Uploads(IUploadStore store, UploadQuotas quotas, UploadOwners owners, TimeProvider time)
    {
        (_store, _quotas, _owners, _time) = (store, quotas, owners, time);
        _timer = time.CreateTimer(
            _ =>
            {
                CloseIdle(IdleTime);
                ForgetIdle();
            },
            null, IdleTime, IdleTime);
    }

    /// <summary>The open uploads: their repositories, their bytes so far, and whether a request writes to them now.</summary>
    public IEnumerable<(RepositoryName Name, Guid Id, long Length, bool IsHeld)> Progress =>
        from open in _open
        let upload = Opened(open.Value)
        where upload is { IsEnded: false }
        select (upload.Name, upload.Id, upload.Length, upload.IsHeld);

    /// <summary>Begins an upload.</summary>
    /// <param name="client">The user or address that the upload counts for: see <see cref="UploadQuotas"/>.</param>
    /// <exception cref="BusyException">Too many uploads are open.</exception>
    /// <exception cref="IOException">The store is away, full or read-only.</exception>
    public Guid Begin(RepositoryName name, string client)
    {
        var id = Guid.NewGuid();
        var known = new BegunUpload(_quotas.Open(client, name.ToString()), _time.GetTimestamp());
        try
        {
            // Another replica may get the next request, and finds the upload in the store only.
            if (_owners.CannotBeFound)
                Store(name, id, known);
        }
        catch
        {
            known.Share.Dispose();
            throw;
        }
        _known.TryAdd((name, id), known);
        if (!known.IsStored)
            known.Share.AllowEnd(() => Forget(name, id));
        return id;
    }

    /// <summary>Until it is disposed, an upload that has no bytes yet is not ended: a request waits for its body. Null if the upload is not
    /// known here.</summary>
    public IDisposable? KeepWhileWaiting(RepositoryName name, Guid id) =>
        _known.TryGetValue((name, id), out var known) ? new UploadUse(known.Share) : null;

    /// <summary>How many bytes of an upload have arrived, also while a request holds it; null where there is no such upload.</summary>
    public async ValueTask<long?> LengthAsync(RepositoryName name, Guid id, CancellationToken cancellationToken) =>
        _open.TryGetValue((name, id), out var open) && Opened(open) is { IsEnded: false, IsGone: false } upload
            && (upload.IsHeld || !_owners.CannotBeFound) ? upload.Length
            : _known.TryGetValue((name, id), out var known) && !known.IsStored ? 0
            : await _store.LengthAsync(name, id, cancellationToken);

    /// <summary>
    /// Holds an upload for one request, until the result is disposed; null where there is no such upload. Dispose it before the answer is
    /// sent: the client's next request may follow at once.
    /// </summary>
    /// <param name="client">The user or address that the upload counts for, if this process does not know the upload.</param>
    /// <param name="algorithm">The hash to compute while bytes arrive, if this call opens the upload.</param>
    /// <exception cref="RegistryException">Another request holds it, or another server has its file open.</exception>
    public HeldUpload? Hold(RepositoryName name, Guid id, string client, string algorithm)
    {
        var use = KeepWhileWaiting(name, id);
        try
        {
            if (TryHold(name, id, client, algorithm) is not { } upload)
                return null;
            var held = new HeldUpload(this, upload, use);
            use = null;
            return held;
        }
        finally
        {
            use?.Dispose();
        }
    }

    private Upload? TryHold(RepositoryName name, Guid id, string client, string algorithm)
    {
        while (true)
        {
            // Concurrent callers share one open: the file is exclusive.
            var open = _open.GetOrAdd((name, id), key => new(() => Open(key.Name, key.Id, client, algorithm)));
            Upload? upload = null;
            try
            {
                upload = open.Value;
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
                case true when upload.IsUnchanged():
                    return upload;
                // Another server has appended bytes, or another program deleted the file, such as registry:2's purge on the same volume.
                // The store says what is there now.
                case true:
                    upload.End();
                    goto default;
                case false:
                    throw Upload.HeldHere();
                default:
                    _open.TryRemove(new((name, id), open));
                    continue;
            }
        }
    }

    /// <summary>Deletes the uploads that got no bytes since <paramref name="before"/>, and returns them. Open uploads are kept.</summary>
    /// <param name="dryRun">Whether the uploads are returned and not deleted.</param>
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
    public async ValueTask<bool> DeleteIdleAsync(StoredUpload upload, DateTimeOffset before, CancellationToken cancellationToken)
    {
        var isDeleted = await _store.DeleteIdleAsync(upload.Name, upload.Id, before, cancellationToken);
        if (isDeleted)
            Forget(upload.Name, upload.Id);
        return isDeleted;
    }

    /// <summary>Closes every upload. The bytes that have arrived stay for the next process.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        CloseIdle(TimeSpan.Zero);
    }

    internal void Release(Upload upload)
    {
        upload.Known.LastUsed = _time.GetTimestamp();
        if (!upload.HasFile)
        {
            upload.End();
            Remove(upload);
            return;
        }
        upload.Known.Share.SetLength(upload.Length);
        // Another replica may get the next request, and finds the file in the store only.
        if (_owners.CannotBeFound)
            upload.Share();
        upload.Release();
        if (_open.Count > OpenFiles.MaxIdleUploads)
            CloseShortest();
    }

    internal async ValueTask DeleteAsync(Upload upload)
    {
        // Hold the upload meanwhile: no other request may open, and append to, a file that is being deleted. But close the file before. On
        // NFS a deleted open file stays as .nfs*, and its folder cannot be deleted.
        try
        {
            upload.CloseFile();
            if (upload.Known.IsStored)
                await _store.DeleteAsync(upload.Name, upload.Id, CancellationToken.None);
        }
        finally
        {
            Forget(upload.Name, upload.Id);
            upload.End();
            Remove(upload);
        }
    }

    private Upload? Open(RepositoryName name, Guid id, string client, string algorithm)
    {
        if (_known.TryGetValue((name, id), out var known) && !known.IsStored)
            return new Upload(name, id, known, () => Create(name, id, known, algorithm));
        if (OpenSpool(name, id, algorithm) is not { } spool)
        {
            Forget(name, id);
            return null;
        }
        known ??= _known.GetOrAdd((name, id), _ => new BegunUpload(_quotas.Adopt(client, name.ToString()), 0) { IsStored = true });
        known.Share.SetLength(spool.Length);
        return new Upload(name, id, known, spool);
    }

    private Spool Create(RepositoryName name, Guid id, BegunUpload known, string algorithm)
    {
        Store(name, id, known);
        return OpenSpool(name, id, algorithm) ?? throw new IOException($"the upload {id} was deleted when it had just begun");
    }

    private Spool? OpenSpool(RepositoryName name, Guid id, string algorithm)
    {
        try
        {
            return _store.Open(name, id, algorithm);
        }
        catch (IOException held) when (held.IsHeldByAnother)
        {
            throw Upload.HeldElsewhere();
        }
    }


    private void Store(RepositoryName name, Guid id, BegunUpload known)
    {
        _store.Start(name, id, _time.GetUtcNow());
        known.IsStored = true;
        known.Share.ForbidEnd();
    }

    private void Remove(Upload upload)
    {
        var key = (upload.Name, upload.Id);
        if (_open.TryGetValue(key, out var open) && Opened(open) == upload)
            _open.TryRemove(new(key, open));
    }

    private void Forget(RepositoryName name, Guid id)
    {
        if (_known.TryRemove((name, id), out var known))
            known.Share.Dispose();
    }

    private static Upload? Opened(Lazy<Upload?> open) => open.IsValueCreated ? open.Value : null;

    // If many connections break at once, many threads come here at once: together they would close too many files.
    private void CloseShortest()
    {
        lock (_closing)
        {
            var idle = _open.Where(each => Opened(each.Value) is { IsHeld: false }).ToList();
            foreach (var open in idle.OrderBy(each => Opened(each.Value)!.Length).Take(idle.Count - OpenFiles.MaxIdleUploads))
                Close(open);
        }
    }

    private void Close(KeyValuePair<(RepositoryName Name, Guid Id), Lazy<Upload?>> open)
    {
        if (Opened(open.Value)?.TryEnd() == true)
            _open.TryRemove(open);
    }

    private void CloseIdle(TimeSpan idle)
    {
        foreach (var open in _open)
            if (Opened(open.Value) is { } upload && _time.GetElapsedTime(upload.Known.LastUsed) >= idle)
                Close(open);
    }

    private void ForgetIdle()
    {
        foreach (var ((name, id), known) in _known)
        {
            if (_open.ContainsKey((name, id)) || _time.GetElapsedTime(known.LastUsed) < EmptyTime)
                continue;
            try
            {
                // Forget an upload that is only in memory, or that another process has deleted. A store that does not answer at once counts
                // as having it: look again in an hour.
                if (!known.IsStored || _store.LengthAsync(name, id, CancellationToken.None).AsTask() is
                    { IsCompletedSuccessfully: true, Result: null })
                    Forget(name, id);
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                if (failure is StoreUnavailableException)
                    return;
            }
            known.LastUsed = _time.GetTimestamp();
        }
    }
}
