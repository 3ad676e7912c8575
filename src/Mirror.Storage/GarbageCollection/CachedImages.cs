namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// The mirrored images that can be fetched again, as a store had them at one time, the least recently used first: a list for
/// <see cref="Evictor"/>. It is built once and serves many evictions. An eviction keeps an image that was used or stored since, so the
/// images that the list still offers are the oldest ones.
/// </summary>
/// <remarks>
/// A blob is deleted with the last image that needs it. An image that is larger than all others together is offered first: it is kept only
/// while nothing has to be evicted.
/// </remarks>
public sealed class CachedImages
{
    // With more blobs than this the list offers the oldest images only: about 20 MB. It is built again when they have been evicted.
    private const int MaxOffered = 100_000;

    private readonly DateTimeOffset _began;
    private readonly DigestSet _counted = new();
    private readonly List<RepositoryName> _names = [];
    // The images that have a manifest: more than one where indexes share it.
    private Dictionary<(RepositoryName, UInt128), List<CachedImage>> _byManifest = [];
    private DigestTable _table = new();
    private List<Blob> _blobs = [];
    private List<CachedImage> _images = [];
    private List<(UInt128 Digest, int Name)> _links = [];
    private int _next;
    private bool _isBuilt;

    /// <param name="clockSkew">See <see cref="Stores.ISweepStore.MaxClockSkew"/>.</param>
    internal CachedImages(DateTimeOffset began, TimeSpan clockSkew) => (_began, KeptSince) = (began, began - clockSkew);

    /// <summary>The bytes of all blobs that can be fetched again, less those that were evicted since.</summary>
    public long Bytes { get; private set; }

    /// <summary>Whether there is nothing left to evict in this list.</summary>
    public bool IsSpent => _next == _images.Count;

    /// <summary>The images that the list still offers, in the order in which they are evicted.</summary>
    public IEnumerable<CachedImage> Offered => _images.Skip(_next).Where(image => !image.IsHandedOut);

    /// <summary>Content that was touched since this time is kept: since the list was begun, by any clock of the store.</summary>
    internal DateTimeOffset KeptSince { get; }

    /// <summary>Whether <see cref="Bytes"/> has this blob in it.</summary>
    public bool Counts(Digest digest) => _counted.Contains(digest);

    /// <summary>Another process has removed a manifest of a repository, so the list does not offer its image any more.</summary>
    public void Removed(RepositoryName name, Digest manifest)
    {
        foreach (var image in With(name, manifest).Where(image => image.Root == manifest && !image.IsEvicted))
            MarkEvicted(image);
    }

    /// <summary>Adds the blobs of which a repository has copies.</summary>
    internal void AddLinks(RepositoryName name, IEnumerable<Digest> copies)
    {
        foreach (var digest in copies)
            _links.Add((DigestSet.Key(digest), _names.Count));
        _names.Add(name);
    }

    /// <summary>Adds an image. Blobs that are not added by <see cref="AddBlob"/> do not count as its own.</summary>
    /// <param name="stored">When it was stored.</param>
    internal void AddImage(RepositoryName name, IReadOnlyList<Digest> manifests, IEnumerable<Digest> blobs, DateTimeOffset stored)
    {
        var image = new CachedImage(name, manifests[0])
        {
            Used = stored,
            Manifests = [.. manifests.Select(IdOf)],
            Blobs = [.. blobs.Select(IdOf).Distinct()],
        };
        _images.Add(image);
        foreach (var manifest in manifests)
            if (_byManifest.TryGetValue((name, DigestSet.Key(manifest)), out var others))
                others.Add(image);
            else
                _byManifest.Add((name, DigestSet.Key(manifest)), [image]);
    }

    /// <summary>Adds a blob that can be fetched again.</summary>
    internal void AddBlob(Digest digest, long bytes, DateTimeOffset used)
    {
        if (!_counted.Add(digest))
            return;
        Bytes += bytes;
        _blobs[IdOf(digest)] = new Blob { Size = bytes, Used = used };
    }

    /// <summary>Whether all pulls are known that the server has noted.</summary>
    internal bool PullsAreKnown { get; set; } = true;

    /// <summary>
    /// A client pulled a manifest. After <see cref="Built"/> its image is kept if this pull is newer than the last one that was known.
    /// </summary>
    internal void Pulled(RepositoryName name, Digest manifest, DateTimeOffset at)
    {
        foreach (var image in With(name, manifest).Where(image => !(at <= image.Pulled)))
            if (_isBuilt)
                image.IsPulledSince = true;
            else
                image.Pulled = at;
    }

    /// <summary>Ends the building.</summary>
    /// <param name="isKept">Manifests that are kept, whatever happens to their blobs.</param>
    internal CachedImages Built(Func<Digest, bool> isKept)
    {
        // 1. Find the images that need each blob. A blob that no image needs is evicted by itself.
        foreach (var image in _images)
        {
            image.Blobs = [.. image.Blobs.Where(id => _blobs[id].Size >= 0)];
            image.Manifests = [.. image.Manifests.Where(id => !isKept(_table.DigestOf(id)))];
            foreach (var id in image.Blobs)
                _blobs[id] = _blobs[id] with { Holders = _blobs[id].Holders + 1 };
        }
        _images = [.. _images.Where(image => image.Blobs is not [])];
        for (var id = 0; id < _blobs.Count; id++)
            if (_blobs[id] is { Size: >= 0, Holders: 0 } alone)
            {
                _blobs[id] = alone with { Holders = 1 };
                _images.Add(new CachedImage(null, _table.DigestOf(id)) { Blobs = [id] });
            }

        // 2. When each was used. A layer that others share says nothing about one of them. No clock makes an image younger than now.
        foreach (var image in _images)
        {
            image.Used = Earlier(Later(image.Used, image.Pulled ?? default), _began);
            foreach (var id in image.Blobs)
                if (_blobs[id].Holders == 1)
                    image.Used = Later(image.Used, _blobs[id].Used);
        }
        _images.Sort((a, b) => a.Used.CompareTo(b.Used));
        if (_images.FindIndex(image => OwnBytes(image) is var own && own > Bytes - own) is > 0 and var larger)
        {
            var image = _images[larger];
            _images.RemoveAt(larger);
            _images.Insert(0, image);
        }

        // 3. Keep the oldest images in the list. The others still need their blobs.
        var parts = 0;
        _images = [.. _images.TakeWhile((image, i) => (parts += image.Blobs.Length + image.Manifests.Length) <= MaxOffered || i == 0)];
        Compact();
        _isBuilt = true;
        return this;
    }

    /// <summary>Takes the next image out of the list.</summary>
    internal bool TryNext(out CachedImage image)
    {
        while (!IsSpent)
        {
            image = _images[_next++];
            if (image.IsHandedOut)
                continue;
            image.IsHandedOut = true;
            return true;
        }
        image = null!;
        return false;
    }

    /// <summary>The blobs that are deleted if this image is evicted.</summary>
    internal IEnumerable<(Digest Digest, long Bytes)> UnsharedBlobs(CachedImage image) =>
        image.Blobs.Where(id => _blobs[id].Holders == 1).Select(id => (_table.DigestOf(id), _blobs[id].Size));

    /// <summary>The manifests of an image that no other image of its repository has.</summary>
    internal IEnumerable<Digest> OwnManifests(CachedImage image) => image.Manifests.Select(_table.DigestOf)
        .Where(manifest => With(image.Name!.Value, manifest).All(other => other == image || other.IsEvicted));

    /// <summary>Notes that an image was evicted: it does not need its blobs any more.</summary>
    internal void MarkEvicted(CachedImage image)
    {
        image.IsHandedOut = image.IsEvicted = true;
        foreach (var id in image.Blobs)
            _blobs[id] = _blobs[id] with { Holders = _blobs[id].Holders - 1 };
    }

    /// <summary>The repositories that had a copy of a blob.</summary>
    internal IEnumerable<RepositoryName> NamesOf(Digest digest)
    {
        var key = DigestSet.Key(digest);
        var at = _links.BinarySearch((key, 0));
        for (at = at < 0 ? ~at : at; at < _links.Count && _links[at].Digest == key; at++)
            yield return _names[_links[at].Name];
    }

    internal void SubtractBytes(long bytes) => Bytes -= bytes;

    private static DateTimeOffset Later(DateTimeOffset a, DateTimeOffset b) => a > b ? a : b;

    private static DateTimeOffset Earlier(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;

    private List<CachedImage> With(RepositoryName name, Digest manifest) =>
        _byManifest.GetValueOrDefault((name, DigestSet.Key(manifest)), []);

    private long OwnBytes(CachedImage image) => image.Blobs.Sum(id => _blobs[id] is { Holders: 1 } own ? own.Size : 0);

    private int IdOf(Digest digest)
    {
        var id = _table.Add(digest);
        if (id == _blobs.Count)
            _blobs.Add(new Blob { Size = -1 });
        return id;
    }

    // Keeps of the table what the offered images need.
    private void Compact()
    {
        var (table, blobs) = (new DigestTable(), new List<Blob>());
        Dictionary<(RepositoryName, UInt128), List<CachedImage>> byManifest = [];
        HashSet<UInt128> offered = [];
        foreach (var image in _images)
        {
            foreach (var id in image.Manifests)
            {
                var key = (image.Name!.Value, DigestSet.Key(_table.DigestOf(id)));
                byManifest[key] = _byManifest[key];
            }
            foreach (var id in image.Blobs)
                offered.Add(DigestSet.Key(_table.DigestOf(id)));
            image.Manifests = [.. image.Manifests.Select(New)];
            image.Blobs = [.. image.Blobs.Select(New)];
        }
        (_table, _blobs, _byManifest) = (table, blobs, byManifest);
        _links = [.. _links.Where(link => offered.Contains(link.Digest))];
        _links.Sort();

        int New(int old)
        {
            var id = table.Add(_table.DigestOf(old));
            if (id == blobs.Count)
                blobs.Add(_blobs[old]);
            return id;
        }
    }

    private readonly record struct Blob
    {
        /// <summary>In bytes; negative for what is no mirrored blob, or is not stored.</summary>
        public long Size { get; init; }

        public DateTimeOffset Used { get; init; }

        /// <summary>How many images need it.</summary>
        public int Holders { get; init; }
    }
}
