using System.Runtime.CompilerServices;
using System.Text;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets.Memory;

/// <summary>Objects in the memory of this process.</summary>
public sealed class MemoryBucket : IBucket
{
    // What an object costs besides its bytes and its name: the entries of the two collections, and the arrays' own heads.
    private const int CostOfObject = 256;

    private readonly MemoryRoom _room;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, MemoryObject> _objects = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _paths = new(StringComparer.Ordinal);

    /// <param name="time">The clock of the dates.</param>
    public MemoryBucket(MemoryOptions options, TimeProvider time)
    {
        (Name, _time) = (options.Location, time);
        _room = new(options.Limit, time);
    }

    public string Name { get; }

    public bool HasOneClock => true;

    /// <summary>How much the objects may have, and how much they have.</summary>
    public IStoreRoom Room => _room;

    public ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) => new(Find(path)?.Length);

    public ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken) =>
        new(Find(path) is { } found ? Encoding.UTF8.GetString(found.ToArray()) : null);

    public ValueTask<Stream?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken) =>
        new(Find(path)?.Open(from, until));

    public async ValueTask<bool> PutAsync(
        string path, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        if (onlyIfAbsent && Find(path) is not null)
            return false;
        await _room.TakeAsync(length, IsOfSweep(path), cancellationToken);
        try
        {
            await using var body = open();
            if (await PutAsync(path, await MemoryObject.ReadAsync(body, length, cancellationToken), onlyIfAbsent, cancellationToken))
                return true;
        }
        catch
        {
            _room.Free(length);
            throw;
        }
        _room.Free(length);
        return false;
    }

    public ValueTask<IBucketUpload> BeginUploadAsync(string path, CancellationToken cancellationToken) =>
        new(new Upload(this, path));

    /// <summary>None: an upload that was not completed is in no list, and goes with its process.</summary>
    public IAsyncEnumerable<(IBucketUpload Upload, DateTimeOffset Begun)> ListUploadsAsync(
        string folder, CancellationToken cancellationToken) => AsyncEnumerable.Empty<(IBucketUpload, DateTimeOffset)>();

    public ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        long freed;
        lock (_gate)
        {
            if (!_objects.Remove(path, out var found))
                return default;
            _paths.Remove(path);
            freed = found.Length + CostOf(path);
        }
        _room.Free(freed);
        return default;
    }

    public async IAsyncEnumerable<BucketObject> ListAsync(
        string prefix, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        foreach (var found in List(prefix, max))
            yield return found;
    }

    public ValueTask<List<string>> ListFoldersAsync(string folder, string prefix, CancellationToken cancellationToken)
    {
        var start = folder.Length + 1;
        List<string> names = [];
        lock (_gate)
            foreach (var path in Below($"{folder}/{prefix}"))
                if (path.IndexOf('/', start + prefix.Length) is > 0 and var end
                    && (names is [] || !path.AsSpan(start, end - start).SequenceEqual(names[^1])))
                    names.Add(path[start..end]);
        return new(names);
    }

    /// <summary>Null: memory has no address.</summary>
    public ValueTask<Uri?> LocateAsync(string path, TimeSpan validity, CancellationToken cancellationToken) => new((Uri?)null);

    public void Dispose()
    {
        // Memory needs no end.
    }

    private static int CostOf(string path) => (path.Length * sizeof(char)) + CostOfObject;

    // What a garbage collection or an eviction writes before it deletes. To wait for an eviction would be to wait for itself.
    private static bool IsOfSweep(string path) =>
        path.StartsWith($"{RegistryLayout.Sweeps}/", StringComparison.Ordinal)
        || path.StartsWith($"{RegistryLayout.Evictions}/", StringComparison.Ordinal)
        || path.StartsWith($"{RegistryLayout.AllCondemned}/", StringComparison.Ordinal);

    private MemoryObject? Find(string path)
    {
        lock (_gate)
            return _objects.GetValueOrDefault(path);
    }

    // Writes an object whose bytes have their room.
    private async ValueTask<bool> PutAsync(string path, byte[][] pieces, bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        await _room.TakeAsync(CostOf(path), IsOfSweep(path), cancellationToken);
        MemoryObject? replaced;
        bool isLeft;
        lock (_gate)
        {
            isLeft = _objects.TryGetValue(path, out replaced) && onlyIfAbsent;
            if (!isLeft)
            {
                _objects[path] = new(pieces, _time.GetUtcNow());
                _paths.Add(path);
            }
        }
        if (isLeft || replaced is not null)
            _room.Free(CostOf(path) + (isLeft ? 0 : replaced!.Length));
        return !isLeft;
    }

    private List<BucketObject> List(string prefix, int? max)
    {
        List<BucketObject> found = [];
        lock (_gate)
            foreach (var path in Below(prefix))
            {
                if (found.Count == max)
                    break;
                var stored = _objects[path];
                found.Add(new(path, stored.Written, stored.Length));
            }
        return found;
    }

    // In a lock only.
    private SortedSet<string> Below(string prefix) => prefix.Length == 0
        ? _paths
        : _paths.GetViewBetween(prefix, prefix + char.MaxValue);

    private sealed class Upload(MemoryBucket bucket, string path) : IBucketUpload
    {
        private readonly Lock _gate = new();
        private readonly SortedDictionary<int, byte[][]> _parts = [];
        private long _taken;

        public async Task PutPartAsync(int number, Func<Stream> open, long length, CancellationToken cancellationToken)
        {
            await bucket._room.TakeAsync(length, isOfSweep: false, cancellationToken);
            lock (_gate)
                _taken += length;
            await using var body = open();
            var pieces = await MemoryObject.ReadAsync(body, length, cancellationToken);
            lock (_gate)
                _parts[number] = pieces;
        }

        public async ValueTask<bool> CompleteAsync(bool onlyIfAbsent, CancellationToken cancellationToken)
        {
            if (!await bucket.PutAsync(path, [.. _parts.Values.SelectMany(part => part)], onlyIfAbsent, cancellationToken))
                return false;
            // The room of the parts is the object's now.
            _taken = 0;
            return true;
        }

        public ValueTask AbortAsync(CancellationToken cancellationToken)
        {
            bucket._room.Free(_taken);
            _taken = 0;
            _parts.Clear();
            return default;
        }
    }
}
