using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>Marks what manifests name, and what the manifests below them name.</summary>
internal sealed class ManifestMarks(IContentStore content, CancellationToken stop)
{
    private readonly DigestSet _marked = new();
    private readonly DigestSet _read = new();

    public int Count => _marked.Count;

    public bool Contains(Digest digest) => _marked.Contains(digest);

    public void Add(Digest digest) => _marked.Add(digest);

    /// <summary>Marks a manifest and all manifests below it; false where one is damaged.</summary>
    /// <remarks>A manifest cannot contain its own digest, so this ends.</remarks>
    public async Task<bool> AddManifestAsync(Digest root)
    {
        var isIntact = true;
        Stack<Digest> pending = new([root]);
        while (pending.TryPop(out var digest))
        {
            _marked.Add(digest);
            // An intact manifest of many repositories is read once, a damaged one each time.
            if (_read.Contains(digest))
                continue;
            var (state, manifest) = await ReadAsync(digest);
            if (state == Verification.Damaged)
                isIntact = false;
            else
                _read.Add(digest);
            foreach (var blob in manifest?.Blobs ?? [])
                _marked.Add(blob.Digest);
            foreach (var child in manifest?.Manifests ?? [])
                pending.Push(child.Digest);
        }
        return isIntact;
    }

    /// <summary>
    /// Reads a manifest. Content that is absent or is not a manifest names nothing: the child of an index may be any content.
    /// </summary>
    public async ValueTask<(Verification State, ManifestDocument? Manifest)> ReadAsync(Digest digest)
    {
        var (state, bytes) = await content.ReadAllAsync(digest, Manifest.MaxBytes, stop);
        return (state, ManifestDocument.Read(bytes));
    }
}
