using Mirror.Storage.Disk;
using Mirror.Storage.Spooling;

namespace Mirror.Storage.Buckets;

/// <summary>
/// Copies of content on a local disk. Each is verified, and their bytes are limited: the least recently opened goes first. The date of a
/// file is when it was last opened, so the order survives a restart.
/// </summary>
internal sealed class LocalCache
{
    private readonly string _folder;
    private readonly long _maxSize;
    private readonly Lock _gate = new();
    private readonly LinkedList<(Digest Digest, long Size)> _order = new();
    private readonly Dictionary<Digest, LinkedListNode<(Digest Digest, long Size)>> _entries = [];
    private readonly HashSet<Digest> _admitting = [];
    private readonly HashSet<Digest> _unchecked = [];
    private long _size;

    public LocalCache(string folder, long maxSize)
    {
        (_folder, _maxSize) = (Path.GetFullPath(folder), maxSize);
        Directory.CreateDirectory(Path.Combine(_folder, "content"));
        if (Directory.Exists(Incoming))
            Directory.Delete(Incoming, recursive: true);
        var options = new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true };
        var files = new DirectoryInfo(Path.Combine(_folder, "content")).EnumerateFiles("*", options);
        foreach (var file in files.OrderByDescending(file => file.LastWriteTimeUtc))
            if (Digest.TryParse($"{file.Directory!.Name}:{file.Name}", out var digest))
            {
                _entries[digest] = _order.AddLast((digest, file.Length));
                _unchecked.Add(digest);
                _size += file.Length;
            }
        Evict();
    }

    /// <summary>Whether an earlier process made the copy, and <see cref="Check"/> has not compared its length yet.</summary>
    public bool IsUnchecked(Digest digest)
    {
        lock (_gate)
            return _unchecked.Contains(digest);
    }

    /// <summary>Removes a copy of an earlier process if it has another length than the content.</summary>
    /// <param name="length">In bytes; null if the bucket does not have the content.</param>
    public void Check(Digest digest, long? length)
    {
        lock (_gate)
            if (_unchecked.Remove(digest) && Length(digest) != length)
                Remove(digest);
    }

    /// <summary>Opens a copy and marks it as used now; null if there is none.</summary>
    public FileContent? TryOpen(Digest digest)
    {
        long length;
        lock (_gate)
        {
            if (!_entries.TryGetValue(digest, out var entry))
                return null;
            length = entry.Value.Size;
            _order.Remove(entry);
            _order.AddFirst(entry);
        }
        try
        {
            var file = File.OpenHandle(PathOf(digest), share: FileShare.ReadWrite | FileShare.Delete);
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow);
            if (RandomAccess.GetLength(file) == length)
                return new FileContent(file, length);
            file.Dispose();
            Remove(digest);
            return null;
        }
        catch (Exception gone) when (gone.IsStoreFailure)
        {
            Remove(digest);
            return null;
        }
    }

    /// <summary>Moves a verified spool into the cache; false if it is too long or the disk is full. The spool is then as it was.</summary>
    public bool TryAdmit(Spool spool, Digest digest)
    {
        if (spool.Length > _maxSize)
            return false;
        try
        {
            spool.MoveTo(PathOf(digest));
        }
        catch (Exception full) when (full.IsStoreFailure)
        {
            return false;
        }
        lock (_gate)
        {
            Forget(digest);
            _entries[digest] = _order.AddFirst((digest, spool.Length));
            _size += spool.Length;
            Evict();
        }
        return true;
    }

    /// <summary>The length of a copy in bytes; null if there is none.</summary>
    public long? Length(Digest digest)
    {
        lock (_gate)
            return _entries.TryGetValue(digest, out var entry) ? entry.Value.Size : null;
    }

    /// <summary>Copies small, verified content into the cache, if there is room. Replaces a copy that was damaged.</summary>
    public void TryAdd(Digest digest, ReadOnlyMemory<byte> bytes)
    {
        if (Length(digest) is not null && !HasBytes(PathOf(digest), bytes))
            Remove(digest);
        if (TrySpool(digest, bytes.Length) is not { } spool)
            return;
        try
        {
            spool.Append(bytes.Span);
            if (!TryAdmit(spool, digest))
                spool.Delete();
        }
        catch (IOException)
        {
            spool.Delete();
        }
        finally
        {
            spool.Dispose();
            EndSpool(digest);
        }
    }

    // A copy that cannot be read is of no use. The bucket has the content.
    private static bool HasBytes(string path, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return FileBytes.Are(path, bytes);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            return false;
        }
    }

    /// <summary>A spool for a copy of content that is read from the bucket; null if it is too long, or is being copied already.</summary>
    public Spool? TrySpool(Digest digest, long length)
    {
        lock (_gate)
        {
            if (length > _maxSize || _entries.ContainsKey(digest) || !_admitting.Add(digest))
                return null;
        }
        try
        {
            Directory.CreateDirectory(Incoming);
            return Spool.OpenPrivate(Path.Combine(Incoming, digest.Hex), digest.Algorithm);
        }
        catch (Exception full) when (full.IsStoreFailure)
        {
            EndSpool(digest);
            return null;
        }
    }

    /// <summary>Ends what <see cref="TrySpool"/> began.</summary>
    public void EndSpool(Digest digest)
    {
        lock (_gate)
            _admitting.Remove(digest);
    }

    public void Remove(Digest digest)
    {
        lock (_gate)
        {
            Forget(digest);
            Delete(digest);
        }
    }

    private string Incoming => Path.Combine(_folder, "incoming");

    private string PathOf(Digest digest) => Path.Combine(_folder, "content", digest.Algorithm, digest.Hex);

    private void Evict()
    {
        while (_size > _maxSize)
        {
            var digest = _order.Last!.Value.Digest;
            Forget(digest);
            Delete(digest);
        }
    }

    private void Forget(Digest digest)
    {
        _unchecked.Remove(digest);
        if (!_entries.Remove(digest, out var entry))
            return;
        _order.Remove(entry);
        _size -= entry.Value.Size;
    }

    // A reader that has the file open can still read it.
    private void Delete(Digest digest)
    {
        try
        {
            File.Delete(PathOf(digest));
        }
        catch (Exception stuck) when (stuck.IsStoreFailure)
        {
            // The file stays, and is counted again after the next start.
        }
    }
}
