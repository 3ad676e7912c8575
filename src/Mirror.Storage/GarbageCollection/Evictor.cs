using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Keeps mirrored content within a size: deletes the least recently used blobs that only mirrored repositories have, and that all of them
/// have from upstream, because these can be fetched again. What was pushed stays, and what may have been pushed. Manifests stay: they are
/// small, and while upstream is away the server needs them to know an image.
/// </summary>
/// <remarks>
/// This is a sweep like that of <see cref="Sweeper"/> with other marks, namely what hosted repositories have, and with no grace. It is safe
/// beside pushes for the same reasons: content that was touched after the marks were begun stays, however much later the eviction is. A
/// push links a blob before it stores it, so no blob of a push is older than its link. A blob's last use is its last touch, so a server
/// that serves a blob touches it (<see cref="IContentStore.TouchAsync"/>).
/// </remarks>
/// <param name="pins">The images whose blobs stay; null where none is pinned.</param>
public sealed class Evictor(
    IContentStore content, IReferenceStore references, ISweepStore store, IProvenanceStore provenance, IPinStore? pins = null)
{
    /// <summary>Looks through the store for what can be evicted; null while another sweep runs.</summary>
    /// <param name="isMirrored">Whether the repository is one of an upstream.</param>
    public async Task<CachedBlobs?> MeasureAsync(Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken)
    {
        await using var turn = await store.BeginAsync(cancellationToken);
        return turn is null ? null : await MeasureAsync(turn.Began, isMirrored, cancellationToken);
    }

    /// <summary>Deletes the least recently used blobs of an index; null while another sweep runs.</summary>
    /// <param name="bytes">How much is to be freed. Less is freed if the index has no more.</param>
    public async Task<Eviction?> EvictAsync(CachedBlobs cached, long bytes, CancellationToken cancellationToken)
    {
        await using var turn = await store.BeginAsync(cancellationToken);
        if (turn is null)
            return null;
        await store.RequireReadableAsync(cancellationToken);
        var read = store.BeingRead();
        // Pinned blobs count, so the limit holds for them too. They are left out here, because they may have been pinned a moment ago.
        var pinned = pins is null ? null : await PinnedContent.ReadAsync(pins, references, content, cancellationToken);
        var (blobs, freed) = (0, 0L);
        while (freed < bytes && cached.TryTake(out var digest))
        {
            if (read.Contains(digest) || pinned?.IsPinned(digest) == true
                || await store.SweepContentAsync(digest, cached.Began, cancellationToken) is not { } length)
                continue;
            blobs++;
            freed += length;
            cached.Evicted(length);
            // When the blob is fetched again, upstream is asked again who may serve it.
            foreach (var name in cached.NamesOf(digest))
                await store.SweepBlobAsync(name, digest, cached.Began, cancellationToken);
        }
        return new Eviction(blobs, freed, cached.Bytes);
    }

    /// <summary>What <see cref="EvictAsync"/> would delete, in its order; null while another sweep runs. Nothing is deleted.</summary>
    /// <param name="most">How many bytes may stay.</param>
    public async Task<(long Bytes, List<(Digest Digest, long Size, DateTimeOffset Used)> Going)?> PlanAsync(
        long most, Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken)
    {
        if (await MeasureAsync(isMirrored, cancellationToken) is not { } cached)
            return null;
        var pinned = pins is null ? null : await PinnedContent.ReadAsync(pins, references, content, cancellationToken);
        var read = store.BeingRead();
        List<(Digest, long, DateTimeOffset)> going = [];
        var left = cached.Bytes;
        foreach (var (digest, used) in cached.Oldest)
        {
            if (left <= most)
                break;
            if (read.Contains(digest) || pinned?.IsPinned(digest) == true
                || await content.SizeAsync(digest, cancellationToken) is not { } size)
                continue;
            going.Add((digest, size, used));
            left -= size;
        }
        return (cached.Bytes, going);
    }

    private async Task<CachedBlobs> MeasureAsync(DateTimeOffset began, Func<RepositoryName, bool> isMirrored, CancellationToken stop)
    {
        // 1. Mark what must stay, and what can be fetched again.
        var cached = new CachedBlobs(began);
        var (kept, copies) = await MarkAsync(cached, isMirrored, stop);
        await store.RequireReadableAsync(stop);

        // 2. Measure what can be fetched again, and when it was last used.
        await foreach (var digest in content.ListAsync(stop))
            if (copies.Contains(digest) && !kept.Contains(digest)
                && await content.SizeAsync(digest, stop) is { } size && await store.LastTouchedAsync(digest, stop) is { } used)
                cached.Add(digest, size, used);
        return cached.Built();
    }

    private async Task<(ManifestMarks Kept, DigestSet Copies)> MarkAsync(
        CachedBlobs cached, Func<RepositoryName, bool> isMirrored, CancellationToken stop)
    {
        var (kept, copies) = (new ManifestMarks(content, stop), new DigestSet());
        await foreach (var name in references.ListRepositoriesAsync(stop))
        {
            // The marks before the links: a link that is written meanwhile has no mark, and its content stays.
            var copiesHere = isMirrored(name) ? await CopiesAsync(name, stop) : null;
            var isDamaged = false;
            await foreach (var (digest, _) in store.ListManifestsAsync(name, stop))
            {
                kept.Add(digest);
                // What a pushed manifest names stays with it. All blobs of a hosted repository stay in any case.
                if (copiesHere?.Contains(digest) == false)
                    isDamaged |= !await kept.AddManifestAsync(digest);
            }
            List<Digest> linked = [];
            await foreach (var (digest, _) in store.ListBlobsAsync(name, stop))
                if (copiesHere?.Contains(digest) == true && !isDamaged)
                    linked.Add(digest);
                else
                    kept.Add(digest);
            linked.ForEach(digest => copies.Add(digest));
            if (linked.Count > 0)
                cached.AddLinks(name, linked);
        }
        return (kept, copies);
    }

    // A digest that was copied, and pushed as well, counts as pushed.
    private async Task<HashSet<Digest>> CopiesAsync(RepositoryName name, CancellationToken stop)
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

/// <summary>The result of an <see cref="Evictor"/>.</summary>
/// <param name="Blobs">How many blobs were deleted.</param>
/// <param name="Freed">The bytes of the deleted blobs.</param>
/// <param name="Bytes">The bytes of mirrored blobs that are left.</param>
public sealed record Eviction(int Blobs, long Freed, long Bytes);
