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
    private bool _hasRepositories;

    public async Task<SweepResult> RunAsync()
    {
        // 1. Give up what was asked for, in this run: where another sweep runs, nothing was given up either.
        if (options.IsReleased is { } isReleased)
            await foreach (var orphan in _orphans.ListAsync(options.IsHosted, options.IsMirrored, stop))
                if (isReleased(orphan.Name))
                    await ReleaseAsync(orphan.Name);
                else
                    _result.Orphans.Add(orphan);

        // 2. Mark what the repositories name.
        await foreach (var name in references.ListRepositoriesAsync(stop))
        {
            _hasRepositories = true;
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
        // In a bucket a repository may be gone with its last link.
        _hasRepositories = true;
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
        var keepsAll = false;
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
            keepsAll |= await IsHiddenAsync(name, digest, await _marked.AddManifestAsync(digest));
        }
        if (keepsAll)
            await KeepAllAsync(name);
        await foreach (var (digest, touched) in store.ListBlobsAsync(name, stop))
            if (touched >= _before && released?.Contains(digest) != true)
                _young.Add(digest);
    }

    private async Task KeepAllAsync(RepositoryName name)
    {
        progress?.Invoke($"{name}: a manifest is damaged, not readable or not stored; no blob of this repository is deleted");
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
        else if (await IsHiddenAsync(name, digest, await _marked.AddManifestAsync(digest)))
            await KeepAllAsync(name);
    }

    // Whether a manifest that the repository links does not show what it names, so that this has to stay. What an eviction has just
    // deleted, or a client, names nothing, and neither does a copy that is gone: it can be fetched again.
    private async ValueTask<bool> IsHiddenAsync(RepositoryName name, Digest manifest, Naming naming)
    {
        if (naming == Naming.Shown)
            return false;
        var isCopy = await IsCopyAsync(name, manifest);
        if (naming == Naming.Absent && (isCopy || !(await references.FindManifestAsync(name, manifest, stop)).Linked))
            return false;
        // The next pull replaces a damaged copy, and evictions delete the blobs beside an unreadable one: no operator has to do anything.
        if (isCopy)
            return true;
        var what = naming switch
        {
            Naming.Damaged => "is damaged, or one that it lists",
            Naming.Unreadable => "does not show which blobs it needs: it is not valid JSON, or not every digest in it can be read",
            _ => "is linked, and its content is not stored",
        };
        _result.Problems.Add($"{name}: the manifest {manifest} {what}; so all blobs of this repository were kept");
        return true;
    }

    // Whether upstream has the manifest, so that it can be fetched again.
    private async ValueTask<bool> IsCopyAsync(RepositoryName name, Digest manifest)
    {
        var source = options.IsMirrored(name) ? await provenance.FindAsync(name, manifest, stop) : Provenance.Pushed;
        return source == Provenance.Copied || source is null && !options.IsHosted(name);
    }

    // What was pushed, or may have been, stays where the settings no longer let clients push: only its owner can tell whether it is needed.
    // So does a copy for which no upstream is configured any longer.
    private async ValueTask<bool> MayGoAsync(RepositoryName name, Digest manifest) =>
        options.IsHosted(name)
        || options.IsMirrored(name) && await provenance.FindAsync(name, manifest, stop) == Provenance.Copied;

    // The manifests that tags name, the children of these, and the referrers of all of them. Null where all stay: a tag is damaged and
    // does not show what it names, or a manifest is damaged, unreadable or lost and does not show its children.
    private async Task<DigestSet?> KeptAsync(RepositoryName name)
    {
        DigestSet kept = new();
        Stack<Digest> pending = new();
        foreach (var tag in await references.ListTagsAsync(name, stop))
        {
            var named = await references.ResolveTagAsync(name, tag, stop);
            // Without a link the tag names nothing: a client has deleted it meanwhile, or a push ended before it had set the tag. If that
            // push still runs, it touches its manifest after it has set the tag.
            if (named is null && await store.HasTagLinkAsync(name, tag, stop)
                && (named = await references.ResolveTagAsync(name, tag, stop)) is null)
            {
                progress?.Invoke($"{name}: tag {tag} names no manifest; no manifest of this repository is deleted");
                _result.Problems.Add(
                    $"{name}: the tag {tag} is damaged and names no manifest; so all manifests of this repository were kept");
                return null;
            }
            if (named is { } tagged)
                pending.Push(tagged);
        }
        Dictionary<Digest, List<Digest>> referrers = [];
        DigestSet linked = new();
        await foreach (var (digest, _) in store.ListManifestsAsync(name, stop))
        {
            linked.Add(digest);
            foreach (var subject in (await _marked.ReadAsync(digest)).Manifest?.Subjects ?? [])
                (referrers.TryGetValue(subject, out var list) ? list : referrers[subject] = []).Add(digest);
        }

        while (pending.TryPop(out var digest))
        {
            if (!kept.Add(digest))
                continue;
            var (naming, manifest) = await _marked.ReadAsync(digest);
            // An index may list any content, such as layers.
            if ((naming != Naming.Unreadable || linked.Contains(digest)) && await IsHiddenAsync(name, digest, naming))
                return null;
            foreach (var child in manifest?.Manifests ?? [])
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
        if (!_hasRepositories && !options.IsWithoutRepositories)
            throw new StoreUnavailableException(
                "the store has blobs and no repository, so all blobs would be deleted, and none was. If there should be repositories, see "
                + "whether the settings name the right folder or bucket, and what is in docker/registry/v2/repositories. If there should "
                + "be none, run garbage-collect --without-repositories");
        return options.DryRun ? await content.SizeAsync(digest, stop) : await store.SweepContentAsync(digest, _before, stop);
    }
}
