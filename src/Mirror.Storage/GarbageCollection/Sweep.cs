using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>One run of <see cref="Sweeper"/>.</summary>
internal sealed class Sweep(
    IContentStore content, IReferenceStore references, ISweepStore store, SweepOptions options, DateTimeOffset began, Action<string>? progress, CancellationToken stop)
{
    // A bucket is far away.
    private const int AtOnce = 8;

    private readonly DigestSet _marks = new();
    private readonly DigestSet _read = new();
    private readonly SweepResult _result = new();
    private readonly DateTimeOffset _before = began - options.Grace;

    public async Task<SweepResult> RunAsync()
    {
        // 1. Mark from the names.
        await foreach (var name in references.ListRepositoriesAsync(stop))
        {
            progress?.Invoke(name.ToString());
            await MarkAsync(name);
        }
        _result.Marked = _marks.Count;

        // 2. Sweep the content.
        await Parallel.ForEachAsync(content.ListAsync(stop), new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = stop }, async (digest, _) =>
        {
            if (_marks.Contains(digest) || await SweepAsync(digest) is not { } freed)
                return;
            lock (_result)
            {
                progress?.Invoke($"blob eligible for deletion: {digest}");
                _result.Blobs++;
                _result.Bytes += freed;
            }
        });

        // 3. What repositories may serve but nobody has.
        if (!options.DryRun)
            await foreach (var name in references.ListRepositoriesAsync(stop))
                await foreach (var (digest, _) in store.ListBlobsAsync(name, stop))
                    if (!_marks.Contains(digest) && await content.SizeAsync(digest, stop) is null && await store.SweepBlobAsync(name, digest, _before, stop))
                        _result.Links++;

        // 4. What died on its way in.
        var (files, bytes) = await store.SweepLeftoversAsync(began, options.DryRun, stop);
        _result.Leftovers = files;
        _result.Bytes += bytes;
        return _result;
    }

    private async Task MarkAsync(RepositoryName name)
    {
        var kept = options.DeleteUntagged ? await KeptAsync(name) : null;
        var damaged = false;
        await foreach (var (digest, renewed) in store.ListManifestsAsync(name, stop))
        {
            if (kept?.Contains(digest) == false && renewed < _before && (options.DryRun || await SweepAsync(name, digest)))
            {
                progress?.Invoke($"{name}: manifest eligible for deletion: {digest}");
                _result.Manifests++;
                continue;
            }
            progress?.Invoke($"{name}: marking manifest {digest}");
            damaged |= !await MarkManifestAsync(digest);
        }
        if (damaged)
            progress?.Invoke($"{name}: a manifest is damaged; no blob of this repository is deleted");
        await foreach (var (digest, renewed) in store.ListBlobsAsync(name, stop))
            if (damaged || renewed >= _before)
                _marks.Add(digest);
    }

    // Every manifest below it, too; a digest cannot contain itself, so this ends.
    private async Task<bool> MarkManifestAsync(Digest root)
    {
        var whole = true;
        Stack<Digest> pending = new([root]);
        while (pending.TryPop(out var digest))
        {
            _marks.Add(digest);
            // One that many repositories have is read once; one that is damaged, each time.
            if (_read.Contains(digest))
                continue;
            var (intact, manifest) = await ReadAsync(digest);
            whole &= intact;
            if (intact)
                _read.Add(digest);
            foreach (var blob in manifest?.Blobs ?? [])
                _marks.Add(blob.Digest);
            foreach (var child in manifest?.Manifests ?? [])
                pending.Push(child.Digest);
        }
        return whole;
    }

    // What tags name, what that lists, and what is attached to either.
    private async Task<DigestSet> KeptAsync(RepositoryName name)
    {
        DigestSet kept = new();
        Stack<Digest> pending = new();
        foreach (var tag in await references.ListTagsAsync(name, stop))
            if (await references.ResolveTagAsync(name, tag, stop) is { } tagged)
                pending.Push(tagged);
        Dictionary<Digest, List<Digest>> attached = [];
        await foreach (var (digest, _) in store.ListManifestsAsync(name, stop))
            if ((await ReadAsync(digest)).Manifest?.Subject is { } subject)
                (attached.TryGetValue(subject, out var list) ? list : attached[subject] = []).Add(digest);

        while (pending.TryPop(out var digest))
        {
            if (!kept.Add(digest))
                continue;
            foreach (var child in (await ReadAsync(digest)).Manifest?.Manifests ?? [])
                pending.Push(child.Digest);
            foreach (var referrer in attached.GetValueOrDefault(digest) ?? [])
                pending.Push(referrer);
        }
        return kept;
    }

    // Not whole: there are bytes, but not those that the digest names. No bytes at all refer to nothing, and neither does what is no manifest:
    // the entry of an index may be any content.
    private async ValueTask<(bool Whole, ManifestDocument? Manifest)> ReadAsync(Digest digest)
    {
        var (state, bytes) = await content.ReadAllAsync(digest, Manifest.MaxBytes, stop);
        return (state != Verification.Damaged, ManifestDocument.Read(bytes));
    }

    private async ValueTask<bool> SweepAsync(RepositoryName name, Digest manifest) =>
        await store.SweepManifestAsync(name, manifest, (await ReadAsync(manifest)).Manifest?.Subject, _before, stop);

    private async ValueTask<long?> SweepAsync(Digest digest)
    {
        if (!options.DryRun)
            return await store.SweepContentAsync(digest, _before, stop);
        return await store.LastTouchedAsync(digest, stop) < _before ? await content.SizeAsync(digest, stop) : null;
    }
}
