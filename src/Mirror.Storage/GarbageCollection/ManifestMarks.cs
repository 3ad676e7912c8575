using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>Whether stored content shows what it names as a manifest.</summary>
internal enum Naming
{
    /// <summary>It is a manifest, and names what it shows.</summary>
    Shown,

    /// <summary>Nothing is stored under the digest.</summary>
    Absent,

    /// <summary>The stored bytes are not those that the digest names.</summary>
    Damaged,

    /// <summary>
    /// The stored bytes are the right ones, but some of what they name cannot be read, or all of it. A client with another reader of JSON
    /// may read it.
    /// </summary>
    Unreadable,
}

/// <summary>Marks what manifests name, and what the manifests below them name.</summary>
internal sealed class ManifestMarks(IContentStore content, CancellationToken stop)
{
    private readonly DigestSet _marked = new();
    private readonly DigestSet _read = new();
    private readonly DigestSet _unreadable = new();

    public int Count => _marked.Count;

    public bool Contains(Digest digest) => _marked.Contains(digest);

    public void Add(Digest digest) => _marked.Add(digest);

    /// <summary>Marks a manifest and all manifests below it.</summary>
    /// <returns>
    /// Damaged where one of them is. Absent or unreadable where the first one is: below it, a manifest need not be stored, and may be any
    /// content, such as a layer in the index of a build cache.
    /// </returns>
    /// <remarks>A manifest cannot contain its own digest, so this ends.</remarks>
    public async Task<Naming> AddManifestAsync(Digest root)
    {
        var found = Naming.Shown;
        Stack<Digest> pending = new([root]);
        while (pending.TryPop(out var digest))
        {
            _marked.Add(digest);
            // An intact manifest of many repositories is read once, one that is damaged or absent each time.
            if (_read.Contains(digest))
                continue;
            var (naming, manifest) = await ReadAsync(digest);
            if (naming is Naming.Shown or Naming.Unreadable)
                _read.Add(digest);
            else if (naming == Naming.Damaged || digest == root)
                found = naming;
            if (naming == Naming.Unreadable)
                _unreadable.Add(digest);
            foreach (var blob in manifest?.Blobs ?? [])
                _marked.Add(blob.Digest);
            foreach (var child in manifest?.Manifests ?? [])
                pending.Push(child.Digest);
        }
        return found == Naming.Shown && _unreadable.Contains(root) ? Naming.Unreadable : found;
    }

    /// <summary>Reads a manifest; null where it shows nothing of what it names.</summary>
    public async ValueTask<(Naming Naming, ManifestDocument? Manifest)> ReadAsync(Digest digest)
    {
        var (state, bytes) = await content.ReadAllAsync(digest, Manifest.MaxBytes, stop);
        var manifest = ManifestDocument.Read(bytes);
        return (state switch
        {
            Verification.Absent => Naming.Absent,
            Verification.Damaged => Naming.Damaged,
            _ => manifest is null or { HidesNames: true } ? Naming.Unreadable : Naming.Shown,
        }, manifest);
    }
}
