using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>Looks through a store for the images that can be fetched again. Use an instance once.</summary>
internal sealed class EvictionMarks(
    IContentStore content, IReferenceStore references, ISweepStore store, IProvenanceStore provenance, CachedImages cached,
    IManifestNotes? notes, Func<RepositoryName, bool> isMirrored, CancellationToken stop)
{
    // What hosted repositories have, and what pushed manifests name.
    private readonly ManifestMarks _kept = new(content, stop);
    private readonly DigestSet _manifests = new();
    private readonly DigestSet _copies = new();

    /// <param name="readPulls">Is called when the images are known.</param>
    public async Task<CachedImages> ReadAsync(Func<ValueTask> readPulls)
    {
        // 1. Mark what must stay, and what can be fetched again.
        await foreach (var name in references.ListRepositoriesAsync(stop))
            await MarkAsync(name);
        await store.RequireReadableAsync(stop);

        // 2. Measure what can be fetched again, and when it was last used.
        await foreach (var (digest, size, used) in store.ListContentAsync(stop))
            if (_copies.Contains(digest) && !_kept.Contains(digest) && !_manifests.Contains(digest))
                cached.AddBlob(digest, size, used);
        await readPulls();
        return cached.Built(_kept.Contains);
    }

    private async Task MarkAsync(RepositoryName name)
    {
        // The marks before the links: a link that is written meanwhile has no mark, and its content stays.
        var isOfUpstream = isMirrored(name);
        var copies = isOfUpstream ? await CopiesAsync(name) : [];
        var isHidden = false;
        Dictionary<Digest, DateTimeOffset> copied = [];
        await foreach (var (digest, touched) in store.ListManifestsAsync(name, stop))
        {
            _manifests.Add(digest);
            if (copies.Contains(digest))
                copied[digest] = touched;
            // What a pushed manifest names stays with it. All blobs of a hosted repository stay in any case.
            else if (isOfUpstream)
                isHidden |= await _kept.AddManifestAsync(digest) is Naming.Damaged or Naming.Unreadable;
        }
        List<Digest> linked = [];
        await foreach (var (digest, _) in store.ListBlobsAsync(name, stop))
            if (copies.Contains(digest) && !isHidden)
                linked.Add(digest);
            else
                _kept.Add(digest);
        linked.ForEach(digest => _copies.Add(digest));
        if (linked.Count > 0)
            cached.AddLinks(name, linked);
        if (copied.Count > 0)
            await AddImagesAsync(name, copied);
    }

    private async Task AddImagesAsync(RepositoryName name, Dictionary<Digest, DateTimeOffset> copied)
    {
        var documents = new Dictionary<Digest, NotedManifest>(notes?.Find(copied.Keys) ?? new Dictionary<Digest, NotedManifest>());
        Dictionary<Digest, NotedManifest> read = [];
        foreach (var digest in copied.Keys.Where(digest => !documents.ContainsKey(digest)))
            if ((await _kept.ReadAsync(digest)).Manifest is { } document)
                read[digest] = documents[digest] = new NotedManifest(
                    [.. document.Manifests.Select(child => child.Digest)], [.. document.Blobs.Select(blob => blob.Digest)]);
        if (read.Count > 0)
            notes?.Add(read);
        HashSet<Digest> children = [.. documents.Values.SelectMany(document => document.Manifests)];
        foreach (var root in documents.Keys.Where(digest => !children.Contains(digest)))
        {
            List<Digest> manifests = [];
            HashSet<Digest> seen = [root], blobs = [];
            for (Stack<Digest> pending = new(seen); pending.TryPop(out var digest);)
            {
                if (!documents.TryGetValue(digest, out var document))
                    continue;
                manifests.Add(digest);
                blobs.UnionWith(document.Blobs);
                foreach (var child in document.Manifests.Where(seen.Add))
                    pending.Push(child);
            }
            cached.AddImage(name, manifests, blobs, stored: manifests.Max(digest => copied[digest]));
        }
    }

    // A digest that was copied, and pushed as well, counts as pushed.
    private async Task<HashSet<Digest>> CopiesAsync(RepositoryName name)
    {
        HashSet<Digest> copies = [];
        await foreach (var copied in provenance.ListAsync(name, Provenance.Copied, stop))
            copies.Add(copied);
        if (copies.Count > 0)
            await foreach (var pushed in provenance.ListAsync(name, Provenance.Pushed, stop))
                copies.Remove(pushed);
        return copies;
    }
}
