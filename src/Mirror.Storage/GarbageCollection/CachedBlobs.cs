namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// The mirrored blobs that can be fetched again, as a store had them at one time, the least recently used first: an index for
/// <see cref="Evictor"/>. It is built once and serves many evictions. A blob that was used, pushed or stored since has a later date in the
/// store, and stays, so what the index still offers is the oldest that there is.
/// </summary>
public sealed class CachedBlobs
{
    // With more blobs than this the index holds the oldest of them: about 30 MB. It is built again when they are gone.
    private const int MaxIndexed = 100_000;

    private readonly PriorityQueue<Digest, DateTimeOffset> _building = new(YoungestFirst);
    private readonly DigestSet _counted = new();
    private readonly List<RepositoryName> _names = [];
    private List<(UInt128 Digest, int Name)> _links = [];
    private (Digest Digest, DateTimeOffset Used)[] _oldest = [];
    private int _next;

    internal CachedBlobs(DateTimeOffset began) => Began = began;

    /// <summary>The bytes of all blobs that can be fetched again, less those that were evicted since.</summary>
    public long Bytes { get; private set; }

    /// <summary>Whether there is nothing left to evict in this index.</summary>
    public bool IsSpent => _next == _oldest.Length;

    /// <summary>What the index still offers, the least recently used first.</summary>
    public IEnumerable<(Digest Digest, DateTimeOffset Used)> Oldest => _oldest.Skip(_next);

    /// <summary>When the index was begun, by the store's clock. What was touched since stays.</summary>
    internal DateTimeOffset Began { get; }

    private static Comparer<DateTimeOffset> YoungestFirst { get; } = Comparer<DateTimeOffset>.Create((a, b) => b.CompareTo(a));

    /// <summary>Whether <see cref="Bytes"/> has this blob in it.</summary>
    public bool Counts(Digest digest) => _counted.Contains(digest);

    internal void AddLinks(RepositoryName name, IEnumerable<Digest> copies)
    {
        foreach (var digest in copies)
            _links.Add((DigestSet.Key(digest), _names.Count));
        _names.Add(name);
    }

    internal void Add(Digest digest, long bytes, DateTimeOffset used)
    {
        _counted.Add(digest);
        Bytes += bytes;
        if (_building.Count < MaxIndexed)
            _building.Enqueue(digest, used);
        else
            _building.EnqueueDequeue(digest, used);
    }

    internal CachedBlobs Built()
    {
        _oldest = [.. _building.UnorderedItems];
        _building.Clear();
        Array.Sort(_oldest, (a, b) => a.Used.CompareTo(b.Used));
        var offered = new HashSet<UInt128>(_oldest.Select(blob => DigestSet.Key(blob.Digest)));
        _links = [.. _links.Where(link => offered.Contains(link.Digest))];
        _links.Sort();
        return this;
    }

    /// <summary>Takes the least recently used blob out of the index.</summary>
    internal bool TryTake(out Digest digest)
    {
        digest = IsSpent ? default : _oldest[_next++].Digest;
        return digest != default;
    }

    /// <summary>The repositories that had a copy of a blob.</summary>
    internal IEnumerable<RepositoryName> NamesOf(Digest digest)
    {
        var key = DigestSet.Key(digest);
        var at = _links.BinarySearch((key, 0));
        for (at = at < 0 ? ~at : at; at < _links.Count && _links[at].Digest == key; at++)
            yield return _names[_links[at].Name];
    }

    internal void Evicted(long bytes) => Bytes -= bytes;
}
