using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Keeps mirrored content within a size: deletes the least recently used blobs that only mirrored repositories have, and that all of them
/// have from upstream, because these can be fetched again. What was pushed stays, and what may have been pushed. Manifests stay: they are
/// small, and while upstream is away the server needs them to know an image.
/// </summary>
/// <remarks>
/// This is a sweep like that of <see cref="Sweeper"/> with other marks, namely what hosted repositories have, and it is safe beside pushes
/// for the same reasons: content that was touched after the sweep began stays. A blob's last use is its last touch, so a server that serves
/// a blob touches it (<see cref="IContentStore.TouchAsync"/>).
/// </remarks>
public sealed class Evictor(IContentStore content, IReferenceStore references, ISweepStore store, IProvenanceStore provenance)
{
    // A push links a blob a moment after it is stored. If the blob were deleted in between, the client had to send it again.
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    /// <summary>Measures the mirrored content, and deletes what is too much; null while another sweep runs.</summary>
    /// <param name="maxBytes">
    /// How many bytes may stay. Where there are more, a tenth of this is free afterwards, so that not each new blob needs an eviction.
    /// </param>
    /// <param name="isMirrored">Whether the repository is one of an upstream.</param>
    public async Task<Eviction?> EvictAsync(long maxBytes, Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken)
    {
        await using var turn = await store.BeginAsync(cancellationToken);
        return turn is null ? null : await EvictAsync(turn.Began, maxBytes, isMirrored, cancellationToken);
    }

    private async Task<Eviction> EvictAsync(
        DateTimeOffset began, long maxBytes, Func<RepositoryName, bool> isMirrored, CancellationToken stop)
    {
        // 1. Mark what must stay, and what can be fetched again.
        var (kept, copies) = await MarkAsync(isMirrored, stop);
        await store.RequireReadableAsync(stop);

        // 2. Measure what can be fetched again, by age.
        var ages = new AgeHistogram(began);
        await foreach (var digest in content.ListAsync(stop))
            if (copies.Contains(digest) && !kept.Contains(digest)
                && await content.SizeAsync(digest, stop) is { } size && await store.LastTouchedAsync(digest, stop) is { } used)
                ages.Add(used, size);
        if (ages.Bytes <= maxBytes)
            return new Eviction(0, 0, ages.Bytes);

        // 3. Delete the oldest, and of the youngest class among them no more than is needed.
        var deleted = new DigestSet();
        var (limit, ofLimit) = ages.Oldest(ages.Bytes - (maxBytes - maxBytes / 10));
        var freed = 0L;
        await foreach (var digest in content.ListAsync(stop))
        {
            if (!copies.Contains(digest) || kept.Contains(digest) || await store.LastTouchedAsync(digest, stop) is not { } used)
                continue;
            var age = ages.ClassOf(used);
            if (age < limit || age == limit && ofLimit <= 0 || await store.SweepContentAsync(digest, began - Grace, stop) is not { } bytes)
                continue;
            deleted.Add(digest);
            freed += bytes;
            if (age == limit)
                ofLimit -= bytes;
        }

        // 4. Delete the links to these blobs: when a blob is fetched again, upstream is asked again who may serve it.
        await foreach (var name in references.ListRepositoriesAsync(stop))
            await foreach (var (digest, _) in store.ListBlobsAsync(name, stop))
                if (deleted.Contains(digest))
                    await store.SweepBlobAsync(name, digest, began, stop);
        return new Eviction(deleted.Count, freed, ages.Bytes - freed);
    }

    private async Task<(ManifestMarks Kept, DigestSet Copies)> MarkAsync(Func<RepositoryName, bool> isMirrored, CancellationToken stop)
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
            await foreach (var (digest, _) in store.ListBlobsAsync(name, stop))
                if (copiesHere?.Contains(digest) == true && !isDamaged)
                    copies.Add(digest);
                else
                    kept.Add(digest);
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
