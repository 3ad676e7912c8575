using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>One run of <see cref="Sweeper"/>.</summary>
internal sealed class Sweep(
    IContentStore content, IReferenceStore references, ISweepStore store, SweepOptions options, DateTimeOffset began,
    Action<string>? progress, CancellationToken stop)
{
    // A bucket answers slowly.
    private const int MaxConcurrent = 8;

    private readonly DigestSet _marked = new();
    private readonly DigestSet _read = new();
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
            if (kept?.Contains(digest) == false && touched < _before && (options.DryRun || await SweepAsync(name, digest)))
            {
                progress?.Invoke($"{name}: manifest eligible for deletion: {digest}");
                _result.Manifests++;
                continue;
            }
            progress?.Invoke($"{name}: marking manifest {digest}");
            isDamaged |= !await MarkManifestAsync(digest);
        }
        if (isDamaged)
            progress?.Invoke($"{name}: a manifest is damaged; no blob of this repository is deleted");
        await foreach (var (digest, touched) in store.ListBlobsAsync(name, stop))
            if (isDamaged || touched >= _before)
                _marked.Add(digest);
    }

    // Marks a manifest and all manifests below it; false where one is damaged. A manifest cannot contain its own digest, so this ends.
    private async Task<bool> MarkManifestAsync(Digest root)
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
            if ((await ReadAsync(digest)).Manifest?.Subject is { } subject)
                (referrers.TryGetValue(subject, out var list) ? list : referrers[subject] = []).Add(digest);

        while (pending.TryPop(out var digest))
        {
            if (!kept.Add(digest))
                continue;
            foreach (var child in (await ReadAsync(digest)).Manifest?.Manifests ?? [])
                pending.Push(child.Digest);
            foreach (var referrer in referrers.GetValueOrDefault(digest) ?? [])
                pending.Push(referrer);
        }
        return kept;
    }

    // Content that is absent or is not a manifest names nothing: the child of an index may be any content.
    private async ValueTask<(Verification State, ManifestDocument? Manifest)> ReadAsync(Digest digest)
    {
        var (state, bytes) = await content.ReadAllAsync(digest, Manifest.MaxBytes, stop);
        return (state, ManifestDocument.Read(bytes));
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
