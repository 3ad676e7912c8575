using Mirror.Limits;
using Mirror.Storage;
using Mirror.Storage.Spooling;

namespace Mirror.Registry;

// The states of an upload: begun (a BegunUpload, in memory only) -> stored (IsStored: the store has its folder) -> open (an Upload, with
// its file) -> held by one request (a HeldUpload) -> ended. After a request it goes back from held to open; when it is idle, from open to
// stored.

/// <summary>An upload that this process counts.</summary>
internal sealed class BegunUpload(UploadQuotas.Share share, long now)
{
    private long _lastUsed = now;
    private bool _isStored;

    public UploadQuotas.Share Share => share;

    /// <summary>Whether the store has it; false where it has no bytes yet.</summary>
    public bool IsStored { get => Volatile.Read(ref _isStored); set => Volatile.Write(ref _isStored, value); }

    public long LastUsed { get => Volatile.Read(ref _lastUsed); set => Volatile.Write(ref _lastUsed, value); }
}

/// <summary>A request that uses an upload.</summary>
internal sealed class UploadUse : IDisposable
{
    private UploadQuotas.Share? _share;

    public UploadUse(UploadQuotas.Share share)
    {
        _share = share;
        share.Use();
    }

    public void Dispose() => Interlocked.Exchange(ref _share, null)?.Unuse();
}

/// <summary>An open upload.</summary>
internal sealed class Upload
{
    private readonly Lock _gate = new();
    private readonly Func<Spool>? _create;
    private Spool? _spool;
    private bool _held;
    private bool _ended;

    public Upload(RepositoryName name, Guid id, BegunUpload known, Spool spool) => (Name, Id, Known, _spool) = (name, id, known, spool);

    /// <param name="create">Creates the file.</param>
    public Upload(RepositoryName name, Guid id, BegunUpload known, Func<Spool> create) =>
        (Name, Id, Known, _create) = (name, id, known, create);

    public RepositoryName Name { get; }
    public Guid Id { get; }
    public BegunUpload Known { get; }

    /// <summary>The file, which is created if there is none yet. Only the holder may call it.</summary>
    /// <exception cref="IOException">It cannot be created.</exception>
    public Spool Spool => _spool ??= _create!();

    public bool HasFile => Volatile.Read(ref _spool) is not null;
    public long Length => Volatile.Read(ref _spool)?.Length ?? 0;
    public bool IsGone => Volatile.Read(ref _spool) is { IsGone: true };
    public bool IsEnded => Volatile.Read(ref _ended);
    public bool IsHeld => Volatile.Read(ref _held);

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

    public void Release()
    {
        lock (_gate)
            _held = false;
    }

    /// <summary>Lets another server on the same folder have the file until <see cref="IsUnchanged"/>. Only the holder may call
    /// it.</summary>
    public void Share()
    {
        if (!IsEnded)
            _spool?.Unlock();
    }

    /// <summary>Takes the file back after <see cref="Share"/>. False if another server has appended to it, or another program deleted it:
    /// then open the upload anew. Only the holder may call it.</summary>
    /// <exception cref="RegistryException">Another server writes the file. The caller holds the upload no longer.</exception>
    public bool IsUnchanged()
    {
        try
        {
            return _spool is null || !IsGone && _spool.LockAgain();
        }
        catch (IOException held) when (held.IsHeldByAnother)
        {
            Release();
            throw HeldElsewhere();
        }
    }

    /// <summary>The error for a request while another one of this server holds the upload.</summary>
    public static RegistryException HeldHere() => new(
        RegistryError.UploadBusy,
        "another request writes to this upload; wait until it ends, ask for the status, and continue from there");

    /// <summary>The error for a request while another process has the file open: a purge for a moment, a server on the same folder for as
    /// long as it writes to it, or without http.secret for a while after its last request.</summary>
    public static RegistryException HeldElsewhere() => new(
        RegistryError.UploadBusy,
        "another server on the same storage has this upload open; wait two minutes, ask for the status, and continue from there")
    {
        Advice = "send all requests for one upload to one server, or set the same http.secret on all servers",
    };

    /// <summary>Closes the file for good, unless a request holds it or it has ended; then returns false.</summary>
    public bool TryEnd()
    {
        // To close the file can wait for the disk. A request that comes meanwhile waits for the lock, and opens the upload again.
        lock (_gate)
        {
            if (_held || _ended)
                return false;
            _ended = true;
            _spool?.Dispose();
            return true;
        }
    }

    /// <summary>Closes the file. Only the holder may call it, and may only end the upload then.</summary>
    public void CloseFile() => _spool?.Dispose();

    /// <summary>Closes the file for good. Only the holder may call it.</summary>
    public void End()
    {
        lock (_gate)
        {
            _ended = true;
            _spool?.Dispose();
        }
    }
}

/// <summary>An upload that one request holds.</summary>
public sealed class HeldUpload : IDisposable
{
    private readonly Uploads _uploads;
    private readonly Upload _upload;
    private readonly IDisposable? _use;

    internal HeldUpload(Uploads uploads, Upload upload, IDisposable? use) => (_uploads, _upload, _use) = (uploads, upload, use);

    /// <summary>The bytes in the store.</summary>
    /// <exception cref="IOException">These would be the first, and the store does not take them.</exception>
    public Spool Spool => _upload.Spool;

    /// <summary>How many bytes have arrived.</summary>
    public long Length => _upload.Length;

    /// <summary>Asks whether there is room for an announced body, if it is announced.</summary>
    /// <inheritdoc cref="UploadQuotas.Share.Require"/>
    public void Require(long? bytes) => _upload.Known.Share.Require(bytes ?? 0);

    /// <summary>Appends bytes.</summary>
    /// <inheritdoc cref="UploadQuotas.Share.Require"/>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return;
        Require(bytes.Length);
        Spool.Append(bytes);
        _upload.Known.Share.SetLength(Length);
    }

    /// <summary>Deletes the upload. Later requests get 404.</summary>
    /// <exception cref="IOException">The store cannot delete it; also as <see cref="UnauthorizedAccessException"/>.</exception>
    public ValueTask DeleteAsync() => _uploads.DeleteAsync(_upload);

    /// <summary>
    /// As <see cref="DeleteAsync"/>, for an upload that became a blob or that is refused: the client gets that answer even if the store
    /// cannot delete the rest of the upload. The purge of idle uploads deletes the rest later.
    /// </summary>
    public async ValueTask DiscardAsync()
    {
        try
        {
            await DeleteAsync();
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
        }
    }

    public void Dispose()
    {
        _uploads.Release(_upload);
        _use?.Dispose();
    }
}
