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
    // What only the grace keeps: a repository was linked to it a short time ago, and no manifest names it.
    private readonly DigestSet _young = new();
    private readonly List<(RepositoryName Name, Digest Digest)> _untagged = [];
    private readonly Orphans _orphans = new(references, store, provenance);
    private readonly Dictionary<RepositoryName, IReadOnlySet<Digest>> _released = [];
    private readonly SweepResult _result = new();
    private readonly DateTimeOffset _before = began - options.Grace;

    public async Task<SweepResult> RunAsync()
    {
        // 1. Give up what was asked for, in this turn: where another sweep runs, nothing was given up either.
        if (options.IsReleased is { } isReleased)
            await foreach (var orphan in _orphans.ListAsync(options.IsHosted, options.IsMirrored, stop))
                if (isReleased(orphan.Name))
                    await ReleaseAsync(orphan.Name);
                else
                    _result.Orphans.Add(orphan);

        // 2. Mark what the repositories name.
        await foreach (var name in references.ListRepositoriesAsync(stop))
        {
            progress?.Invoke(name.ToString());
            await MarkAsync(name);
            options.Progress.Repositories++;
            options.Progress.Marked = _marked.Count;
        }
        await store.RequireReadableAsync(stop);

        // 3. Delete untagged manifests, and mark those that stay after all.
        foreach (var (name, digest) in _untagged)
            await SweepUntaggedAsync(name, digest);
        _result.Marked = _marked.Count;

        // 4. Delete the other content.
        var concurrently = new ParallelOptions { MaxDegreeOfParallelism = MaxConcurrent, CancellationToken = stop };
        await Parallel.ForEachAsync(content.ListAsync(stop), concurrently, async (digest, _) =>
        {
            options.Progress.CountBlob();
            if (_marked.Contains(digest) || await SweepAsync(digest) is not { } freed)
                return;
            lock (_result)
            {
                progress?.Invoke($"blob eligible for deletion: {digest}");
                _result.Blobs++;
                _result.Bytes += freed;
            }
        });

        // 5. Delete links to blobs that are not stored.
        if (!options.DryRun)
            await foreach (var name in references.ListRepositoriesAsync(stop))
                await foreach (var (digest, _) in store.ListBlobsAsync(name, stop))
                    if (!_marked.Contains(digest) && await content.SizeAsync(digest, stop) is null
                        && await store.SweepBlobAsync(name, digest, _before, stop))
                        _result.Links++;

        // 6. Delete temporary files of processes that died.
        var (files, bytes) = await store.SweepLeftoversAsync(began, options.DryRun, stop);
        _result.Leftovers = files;
        _result.Bytes += bytes;
        return _result;
    }

    private async Task ReleaseAsync(RepositoryName name)
    {
        progress?.Invoke($"{name}: {(options.DryRun ? "would release" : "released")} what no setting gives a source");
        if (options.DryRun)
            _released[name] = await _orphans.ReleasedAsync(name, options.IsMirrored(name), stop);
        else
            await _orphans.ReleaseAsync(name, options.IsMirrored(name), stop);
    }

    private async Task MarkAsync(RepositoryName name)
    {
        var released = _released.GetValueOrDefault(name);
        var kept = options.DeleteUntagged || options.CountUntagged ? await KeptAsync(name) : null;
        var isDamaged = false;
        await foreach (var (digest, touched) in store.ListManifestsAsync(name, stop))
        {
            if (released?.Contains(digest) == true)
                continue;
            if (kept?.Contains(digest) == false)
            {
                _result.Untagged++;
                if (touched >= _before)
                    _result.YoungManifests++;
                else if (options.DeleteUntagged && await MayGoAsync(name, digest))
                {
                    _untagged.Add((name, digest));
                    continue;
                }
            }
            progress?.Invoke($"{name}: marking manifest {digest}");
            isDamaged |= !await _marked.AddManifestAsync(digest);
        }
        if (isDamaged)
            await KeepAllAsync(name);
        await foreach (var (digest, touched) in store.ListBlobsAsync(name, stop))
            if (touched >= _before && released?.Contains(digest) != true)
                _young.Add(digest);
    }

    private async Task KeepAllAsync(RepositoryName name)
    {
        progress?.Invoke($"{name}: a manifest is damaged; no blob of this repository is deleted");
        await foreach (var (digest, _) in store.ListBlobsAsync(name, stop))
            _marked.Add(digest);
    }

    private async Task SweepUntaggedAsync(RepositoryName name, Digest digest)
    {
        if (options.DryRun || await SweepAsync(name, digest))
        {
            progress?.Invoke($"{name}: manifest eligible for deletion: {digest}");
            _result.Manifests++;
        }
        // A client needed it meanwhile.
        else if (!await _marked.AddManifestAsync(digest))
            await KeepAllAsync(name);
    }

    // What was pushed, or may have been, stays where the settings no longer let clients push: only its owner can tell whether it is needed.
    // So does a copy for which no upstream is configured any longer.
    private async ValueTask<bool> MayGoAsync(RepositoryName name, Digest manifest) =>
        options.IsHosted(name)
        || options.IsMirrored(name) && await provenance.FindAsync(name, manifest, stop) == Provenance.Copied;

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
            foreach (var subject in (await _marked.ReadAsync(digest)).Manifest?.Subjects ?? [])
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
        if (_young.Contains(digest) || await store.LastTouchedAsync(digest, stop) >= _before)
        {
            var size = await content.SizeAsync(digest, stop);
            lock (_result)
            {
                _result.Young++;
                _result.YoungBytes += size ?? 0;
            }
            return null;
        }
        return options.DryRun ? await content.SizeAsync(digest, stop) : await store.SweepContentAsync(digest, _before, stop);
    }
}
