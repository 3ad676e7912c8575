using System.Security.Cryptography;
using System.Text;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>One version of an object. It never changes.</summary>
/// <param name="Space">The bytes, and what is reserved behind them.</param>
/// <param name="IsWhole">Whether it can be read. An upload in pieces that has not come to its end cannot.</param>
internal sealed record RiftObject(string Id, byte[] Space, int Length, bool IsWhole, DateTimeOffset Modified)
{
    public ReadOnlyMemory<byte> Bytes => Space.AsMemory(0, Length);
}

/// <summary>
/// The objects and indexes of an Elliptics of one node, in memory. A write ends the object: what was behind it is gone
/// (eblob's <c>eblob_writev_return</c>).
/// </summary>
internal sealed class RiftObjects
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, RiftObject> _objects = [];

    // What an index has: the ids of objects, with the data of each.
    private readonly Dictionary<string, SortedDictionary<string, byte[]>> _indexes = [];
    private long _used;

    /// <summary>How many bytes of objects and of indexes there may be. A write beyond fails.</summary>
    public long Capacity { get; set; } = 256 << 20;

    /// <summary>How many objects can be read.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _objects.Values.Count(one => one.IsWhole);
        }
    }

    /// <summary>The id of a key or of an index: SHA-512 of <c>KEY</c>, or of the bucket, a zero byte and <c>KEY</c>.</summary>
    public static string IdOf(string? bucket, string key) =>
        Convert.ToHexStringLower(SHA512.HashData(Encoding.UTF8.GetBytes(bucket is null ? key : $"{bucket}\0{key}")));

    public RiftObject? Find(string id)
    {
        lock (_lock)
            return _objects.GetValueOrDefault(id) is { IsWhole: true } found ? found : null;
    }

    /// <summary>Writes bytes at an offset of a new object or of one that is there.</summary>
    /// <returns>Null: it failed.</returns>
    public RiftObject? Write(string id, long offset, ReadOnlySpan<byte> bytes, bool isAppend = false)
    {
        lock (_lock)
        {
            var old = _objects.GetValueOrDefault(id);
            // A write of nothing is none, and tells where the object is.
            if (bytes.IsEmpty)
                return old is { IsWhole: true } ? old : null;
            if (isAppend)
                offset += old?.Length ?? 0;
            if (!HasRoom(offset, bytes.Length))
                return null;
            var space = new byte[offset + bytes.Length];
            old?.Space.AsSpan(0, (int)Math.Min(old.Length, space.Length)).CopyTo(space);
            bytes.CopyTo(space.AsSpan((int)offset));
            return Keep(id, space, space.Length, isWhole: true);
        }
    }

    /// <summary>Begins an upload in pieces: reserves the size, and the object that was there cannot be read any more.</summary>
    /// <returns>False: it failed.</returns>
    public bool Prepare(string id, long offset, ReadOnlySpan<byte> bytes, long size)
    {
        lock (_lock)
        {
            if (!HasRoom(size, 0) || offset < 0 || offset > size - bytes.Length)
                return false;
            var space = new byte[size];
            bytes.CopyTo(space.AsSpan((int)offset));
            return Keep(id, space, 0, isWhole: false) is not null;
        }
    }

    /// <summary>Writes a piece into what <see cref="Prepare"/> reserved.</summary>
    /// <returns>False: there is no such upload, or no room in it.</returns>
    public bool WritePiece(string id, long offset, ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_objects.GetValueOrDefault(id) is not { IsWhole: false } open
                || offset < 0 || offset > open.Space.Length - bytes.Length)
                return false;
            // It cannot be read yet.
            bytes.CopyTo(open.Space.AsSpan((int)offset));
            return true;
        }
    }

    /// <summary>Writes the last piece, and makes an object of this size of all.</summary>
    /// <returns>Null: it failed.</returns>
    public RiftObject? Commit(string id, long offset, ReadOnlySpan<byte> bytes, long size)
    {
        lock (_lock)
            return WritePiece(id, offset, bytes) && size >= 0 && size <= _objects[id].Space.Length
                ? Keep(id, _objects[id].Space, (int)size, isWhole: true)
                : null;
    }

    /// <returns>False: there is none. The indexes keep what they have of it.</returns>
    public bool Remove(string id)
    {
        lock (_lock)
        {
            if (!_objects.Remove(id, out var removed))
                return false;
            _used -= removed.Space.Length;
            return true;
        }
    }

    /// <summary>Puts an object into these indexes and takes it out of all others.</summary>
    /// <param name="indexes">Ids of indexes with the data of the object in them.</param>
    /// <returns>False: there is no room.</returns>
    public bool SetIndexes(string id, IReadOnlyDictionary<string, byte[]> indexes)
    {
        lock (_lock)
        {
            foreach (var other in _indexes.Keys.Where(index => !indexes.ContainsKey(index)).ToArray())
                RemoveFromIndex(other, id);
            return indexes.All(index => AddToIndex(index.Key, id, index.Value));
        }
    }

    /// <returns>False: there is no room.</returns>
    public bool AddToIndex(string index, string id, byte[] data)
    {
        lock (_lock)
        {
            RemoveFromIndex(index, id);
            if (!HasRoom(0, CostOf(id, data)))
                return false;
            if (!_indexes.TryGetValue(index, out var members))
                _indexes[index] = members = new(StringComparer.Ordinal);
            members[id] = data;
            _used += CostOf(id, data);
            return true;
        }
    }

    public void RemoveFromIndex(string index, string id)
    {
        lock (_lock)
            if (_indexes.GetValueOrDefault(index) is { } members && members.Remove(id, out var data))
            {
                _used -= CostOf(id, data);
                if (members.Count == 0)
                    _indexes.Remove(index);
            }
    }

    /// <summary>The objects that are in all of the indexes or in any of them, in the order of their ids.</summary>
    /// <returns>Of each the indexes of those asked for that it is in. An index that is not there has no objects.</returns>
    public IReadOnlyList<(string Id, IReadOnlyList<(string Index, byte[] Data)> In)> FindByIndexes(string[] indexes, bool inAll)
    {
        lock (_lock)
            return [.. indexes
                .SelectMany(index => _indexes.GetValueOrDefault(index) is { } members
                    ? members.Select(member => (Id: member.Key, Index: index, Data: member.Value)) : [])
                .GroupBy(member => member.Id)
                .Where(members => !inAll || members.Count() == indexes.Length)
                .OrderBy(members => members.Key, StringComparer.Ordinal)
                .Select(members => (
                    members.Key, (IReadOnlyList<(string, byte[])>)[.. members.Select(member => (member.Index, member.Data))]))];
    }

    private static int CostOf(string id, byte[] data) => id.Length + data.Length;

    // An object that is written again needs its old room until the new one is there.
    private bool HasRoom(long offset, long length) => offset >= 0 && offset <= Capacity - _used - length;

    private RiftObject Keep(string id, byte[] space, int length, bool isWhole)
    {
        if (_objects.Remove(id, out var old))
            _used -= old.Space.Length;
        _used += space.Length;
        return _objects[id] = new(id, space, length, isWhole, DateTimeOffset.UtcNow);
    }
}
