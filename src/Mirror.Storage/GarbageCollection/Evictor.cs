using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Keeps what can be fetched again within a size: blobs that only mirrored repositories have are removed, the longest unused first. Manifests stay;
/// they are small, and without upstream they are all that is known of an image.
/// </summary>
/// <remarks>
/// A sweep like <see cref="Sweeper"/>'s with other marks, those of names that are not mirrored, and for the same reasons safe beside pushes: what was
/// claimed since it began stays. A blob's last use is its last claim, so whoever serves one claims it (<see cref="IContentStore.TouchAsync"/>).
/// </remarks>
public sealed class Evictor(IContentStore content, IReferenceStore references, ISweepStore store)
{
    // A push links a blob a moment after that is stored, and would have to send it again.
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    /// <summary>Counts, and removes what is too much; null while another sweep is running.</summary>
    /// <param name="most">How many bytes may stay. Where there are more a tenth of it is free afterwards, so that this is not done for each blob that comes.</param>
    /// <param name="isMirrored">Whether what a repository has can be fetched again.</param>
    public async Task<Eviction?> EvictAsync(long most, Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken)
    {
        await using var turn = await store.BeginAsync(cancellationToken);
        return turn is null ? null : await EvictAsync(turn.Began, most, isMirrored, cancellationToken);
    }

    private async Task<Eviction> EvictAsync(DateTimeOffset began, long most, Func<RepositoryName, bool> isMirrored, CancellationToken stop)
    {
        // 1. What stays in any case.
        var kept = await MarkAsync(isMirrored, stop);

        // 2. How much else there is, and how old.
        var ages = new AgeHistogram(began);
        await foreach (var digest in content.ListAsync(stop))
            if (!kept.Contains(digest) && await content.SizeAsync(digest, stop) is { } size && await store.LastTouchedAsync(digest, stop) is { } used)
                ages.Add(used, size);
        if (ages.Bytes <= most)
            return new Eviction(0, 0, ages.Bytes);

        // 3. The oldest, and of the youngest of those no more than needed.
        var gone = new DigestSet();
        var (limit, ofThose) = ages.Oldest(ages.Bytes - (most - most / 10));
        var freed = 0L;
        await foreach (var digest in content.ListAsync(stop))
        {
            if (kept.Contains(digest) || await store.LastTouchedAsync(digest, stop) is not { } used || ages.ClassOf(used) is var age && (age < limit || age == limit && ofThose <= 0))
                continue;
            if (await store.SweepContentAsync(digest, began - Grace, stop) is not { } bytes)
                continue;
            gone.Add(digest);
            freed += bytes;
            if (age == limit)
                ofThose -= bytes;
        }

        // 4. Rights to what is gone: they are proved anew when it is fetched again.
        await foreach (var name in references.ListRepositoriesAsync(stop))
            await foreach (var (digest, _) in store.ListBlobsAsync(name, stop))
                if (gone.Contains(digest))
                    await store.SweepBlobAsync(name, digest, began, stop);
        return new Eviction(gone.Count, freed, ages.Bytes - freed);
    }

    private async Task<DigestSet> MarkAsync(Func<RepositoryName, bool> isMirrored, CancellationToken stop)
    {
        var kept = new DigestSet();
        await foreach (var name in references.ListRepositoriesAsync(stop))
        {
            await foreach (var (digest, _) in store.ListManifestsAsync(name, stop))
                kept.Add(digest);
            if (isMirrored(name))
                continue;
            await foreach (var (digest, _) in store.ListBlobsAsync(name, stop))
                kept.Add(digest);
        }
        return kept;
    }
}

/// <summary>What an <see cref="Evictor"/> did.</summary>
/// <param name="Freed">In bytes.</param>
/// <param name="Bytes">How much mirrored content is there now.</param>
public sealed record Eviction(int Blobs, long Freed, long Bytes);
