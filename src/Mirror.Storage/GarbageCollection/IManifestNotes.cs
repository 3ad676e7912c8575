namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// What manifests name, noted when an eviction first read them, so that it need not read each of them every time. Only the order of an
/// eviction relies on it: what has to stay is read from the store.
/// </summary>
public interface IManifestNotes
{
    /// <summary>What is noted of some manifests.</summary>
    IReadOnlyDictionary<Digest, NotedManifest> Find(IEnumerable<Digest> manifests);

    /// <summary>Notes what manifests name.</summary>
    void Add(IReadOnlyDictionary<Digest, NotedManifest> manifests);
}

/// <summary>The children of an index, and the config and the layers of an image.</summary>
public sealed record NotedManifest(IReadOnlyList<Digest> Manifests, IReadOnlyList<Digest> Blobs);
