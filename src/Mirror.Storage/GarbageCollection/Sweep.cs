using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>One run of <see cref="Sweeper"/>.</summary>
internal sealed class Sweep(
    IContentStore content, IReferenceStore references, ISweepStore store, IProvenanceStore provenance, SweepOptions options,
    DateTimeOffset began, Action<string>? progress, CancellationToken stop)
{
    // A bucket answers slowly.
    private const int MaxConcurrent = 8;

    private readonly ManifestMarks _marked = new(content, stop);
    private readonly SweepResult _result = new();
    private readonly DateTimeOffset _before = began - options.Grace;

    public async Task<SweepResult> RunAsync()
    {
        // 1. Mark what the repositories name.
        await foreach (var name in references.ListRepositoriesAsync(stop))
        {
            progress?.Invoke(name.ToString());
            await MarkAsync(name);
        }
        _result.Marked = _marked.Count;

        // 2. Delete the other content.
        var concurrently = new ParallelOptions { MaxDegreeOfParallelism = MaxConcurrent, CancellationToken = stop };
        await Parallel.ForEachAsync(content.ListAsync(stop), concurrently, async (digest, _) =>
        {
            if (_marked.Contains(digest) || await SweepAsync(digest) is not { } freed)
                return;
            lock (_result)
            {
                progress?.Invoke($"blob eligible for deletion: {digest}");
                _result.Blobs++;
                _result.Bytes += freed;
            }
        });

        // 3. Delete links to blobs that are not stored.
        if (!options.DryRun)
            await foreach (var name in references.ListRepositoriesAsync(stop))
                await foreach (var (digest, _) in store.ListBlobsAsync(name, stop))
                    if (!_marked.Contains(digest) && await content.SizeAsync(digest, stop) is null
                        && await store.SweepBlobAsync(name, digest, _before, stop))
                        _result.Links++;

        // 4. Delete temporary files of processes that died.
        var (files, bytes) = await store.SweepLeftoversAsync(began, options.DryRun, stop);
        _result.Leftovers = files;
        _result.Bytes += bytes;
        return _result;
    }

    private async Task MarkAsync(RepositoryName name)
    {
        var kept = options.DeleteUntagged ? await KeptAsync(name) : null;
        var isDamaged = false;
        await foreach (var (digest, touched) in store.ListManifestsAsync(name, stop))
        {
            if (kept?.Contains(digest) == false && touched < _before && await MayGoAsync(name, digest) && (options.DryRun || await SweepAsync(name, digest)))
            {
                progress?.Invoke($"{name}: manifest eligible for deletion: {digest}");
                _result.Manifests++;
                continue;
            }
            progress?.Invoke($"{name}: marking manifest {digest}");
            isDamaged |= !await _marked.AddManifestAsync(digest);
        }
        if (isDamaged)
            progress?.Invoke($"{name}: a manifest is damaged; no blob of this repository is deleted");
        await foreach (var (digest, touched) in store.ListBlobsAsync(name, stop))
            if (isDamaged || touched >= _before)
                _marked.Add(digest);
    }

    // What was pushed, or may have been, stays where the settings no longer let clients push: only its owner can tell whether it is needed.
    private async ValueTask<bool> MayGoAsync(RepositoryName name, Digest manifest) =>
        options.IsHosted(name) || await provenance.FindAsync(name, manifest, stop) == Provenance.Copied;

    // The manifests that tags name, the children of these, and the referrers of all of them.
    private async Task<DigestSet> KeptAsync(RepositoryName name)
    {
        DigestSet kept = new();
        Stack<Digest> pending = new();
        foreach (var tag in await references.ListTagsAsync(name, stop))
            if (await references.ResolveTagAsync(name, tag, stop) is { } tagged)
                pending.Push(tagged);
        Dictionary<Digest, List<Digest>> referrers = [];
        await foreach (var (digest, _) in store.ListManifestsAsync(name, stop))
            if ((await _marked.ReadAsync(digest)).Manifest?.Subject is { } subject)
                (referrers.TryGetValue(subject, out var list) ? list : referrers[subject] = []).Add(digest);

        while (pending.TryPop(out var digest))
        {
            if (!kept.Add(digest))
                continue;
            foreach (var child in (await _marked.ReadAsync(digest)).Manifest?.Manifests ?? [])
                pending.Push(child.Digest);
            foreach (var referrer in referrers.GetValueOrDefault(digest) ?? [])
                pending.Push(referrer);
        }
        return kept;
    }

    private async ValueTask<bool> SweepAsync(RepositoryName name, Digest manifest) =>
        await store.SweepManifestAsync(name, manifest, (await _marked.ReadAsync(manifest)).Manifest?.Subject, _before, stop);

    private async ValueTask<long?> SweepAsync(Digest digest)
    {
        if (!options.DryRun)
            return await store.SweepContentAsync(digest, _before, stop);
        return await store.LastTouchedAsync(digest, stop) < _before ? await content.SizeAsync(digest, stop) : null;
    }
}
