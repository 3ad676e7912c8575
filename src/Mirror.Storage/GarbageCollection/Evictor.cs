using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Keeps mirrored content within a size: deletes the least recently used blobs that only mirrored repositories have, because they can be
/// fetched again. Manifests stay: they are small, and while upstream is away the server needs them to know an image.
/// </summary>
/// <remarks>
/// This is a sweep like that of <see cref="Sweeper"/> with other marks, namely what hosted repositories have, and it is safe beside pushes
/// for the same reasons: content that was touched after the sweep began stays. A blob's last use is its last touch, so a server that serves
/// a blob touches it (<see cref="IContentStore.TouchAsync"/>).
/// </remarks>
public sealed class Evictor(IContentStore content, IReferenceStore references, ISweepStore store)
{
    // A push links a blob a moment after it is stored. If the blob were deleted in between, the client had to send it again.
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    /// <summary>Measures the mirrored content, and deletes what is too much; null while another sweep runs.</summary>
    /// <param name="maxBytes">
    /// How many bytes may stay. Where there are more, a tenth of this is free afterwards, so that not each new blob needs an eviction.
    /// </param>
    /// <param name="isMirrored">Whether the content of a repository can be fetched again.</param>
    public async Task<Eviction?> EvictAsync(long maxBytes, Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken)
    {
        await using var turn = await store.BeginAsync(cancellationToken);
        return turn is null ? null : await EvictAsync(turn.Began, maxBytes, isMirrored, cancellationToken);
    }

    private async Task<Eviction> EvictAsync(
        DateTimeOffset began, long maxBytes, Func<RepositoryName, bool> isMirrored, CancellationToken stop)
    {
        // 1. Mark what must stay.
        var kept = await MarkAsync(isMirrored, stop);

        // 2. Measure the rest, by age.
        var ages = new AgeHistogram(began);
        await foreach (var digest in content.ListAsync(stop))
            if (!kept.Contains(digest)
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
            if (kept.Contains(digest) || await store.LastTouchedAsync(digest, stop) is not { } used)
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

/// <summary>The result of an <see cref="Evictor"/>.</summary>
/// <param name="Blobs">How many blobs were deleted.</param>
/// <param name="Freed">The bytes of the deleted blobs.</param>
/// <param name="Bytes">The bytes of mirrored blobs that are left.</param>
public sealed record Eviction(int Blobs, long Freed, long Bytes);
