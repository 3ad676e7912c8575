using Microsoft.Win32.SafeHandles;
using Mirror.Storage.Disk;

namespace Mirror.Storage.Spooling;

/// <summary>The file of a spool as the disk has it: its name, its flushes, and the checkpoints of its hash.</summary>
/// <param name="isResumable">Whether a later process may open it: else there are no checkpoints.</param>
internal sealed class SpoolFile(string path, string algorithm, SafeFileHandle file, bool isResumable) : IDisposable
{
    private readonly FolderPlace? _place = FolderPlace.Of(path);
    private readonly Lock _gate = new();
    private readonly Lock _flushing = new();
    private string _path = path;
    private IOException? _unflushed;
    private long _savedAt;
    private Task _saving = Task.CompletedTask;
    private bool _hasName = true;
    private bool _disposed;

    /// <summary>Whether the file has its temporary name: it was neither moved nor deleted.</summary>
    public bool HasName { get { lock (_gate) return _hasName; } }

    /// <inheritdoc cref="Spool.IsGone"/>
    public bool IsGone => HasName && FolderPlace.Of(_path) != _place;

    private ulong Inode => _place?.Inode ?? 0;

    /// <summary>Lets a hash go on from the checkpoint of an earlier process; false where none fits.</summary>
    public bool Restore(SpoolHash hash, long length)
    {
        if (SpoolCheckpoint.Read(_path, Inode, file, algorithm, length) is not { } saved || !hash.Restore(saved.Offset, saved.State))
            return false;
        _savedAt = saved.Offset;
        return true;
    }

    /// <summary>Saves the state of the hash if it has advanced enough since it was saved last. On the thread that hashes.</summary>
    public void SaveIfDue(SpoolHash hash, long hashed)
    {
        if (!isResumable || hashed - _savedAt < SpoolCheckpoint.Interval || !_saving.IsCompleted || hash.Save() is not { } state)
            return;
        _savedAt = hashed;
        lock (_gate)
            // To flush takes long, and hashing does not wait for it.
            if (!_disposed)
                _saving = Task.Run(() => Save(hashed, state));
    }

    /// <inheritdoc cref="Spool.MoveTo"/>
    public void MoveTo(string path)
    {
        Flush();
        // From here on other processes open the file too, while readers still follow this spool.
        Durable.Unlock(file);
        SweepableFile.Publish(_path, path);
        Forget();
        _path = path;
    }

    /// <inheritdoc cref="Spool.Delete"/>
    public void Delete()
    {
        // At a second call, another spool may have this name.
        if (!HasName)
            return;
        try
        {
            File.Delete(_path);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // The caller throws an exception that says more.
        }
        Forget();
    }

    /// <summary>Call it when the file is or becomes empty: deletes the checkpoint, which does not fit any more.</summary>
    public void Reset()
    {
        _saving.Wait();
        if (isResumable)
            SpoolCheckpoint.Delete(_path);
        _savedAt = 0;
    }

    /// <summary>Returns when no checkpoint is being written any more.</summary>
    public void Dispose()
    {
        lock (_gate)
            _disposed = true;
        _saving.Wait();
    }

    private void Forget()
    {
        lock (_gate)
            _hasName = false;
        if (isResumable)
            SpoolCheckpoint.Delete(_path);
    }

    private void Flush()
    {
        lock (_flushing)
        {
            if (_unflushed is not null)
                throw new IOException(_unflushed.Message, _unflushed) { HResult = _unflushed.HResult };
            try
            {
                DiskFlush.OfFile(file);
            }
            catch (IOException failure)
            {
                _unflushed = failure;
                throw;
            }
        }
    }

    private void Save(long hashed, byte[] state)
    {
        var path = _path;
        try
        {
            Flush();
            if (!HasName)
                return;
            SpoolCheckpoint.Write(path, Inode, file, algorithm, hashed, state);
            if (!HasName)
                SpoolCheckpoint.Delete(path);
        }
        catch (Exception failure) when (failure.IsStoreFailure || failure is ObjectDisposedException)
        {
            // A later process hashes more. After a failed flush, MoveTo fails.
        }
    }
}
