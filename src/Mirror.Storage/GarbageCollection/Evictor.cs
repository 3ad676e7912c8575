using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Keeps mirrored content within a size: removes the least recently used images, and deletes the blobs that no other image needs. Only
/// blobs go that only mirrored repositories have, and that all of them have from upstream, because these can be fetched again. What was
/// pushed stays, and what may have been pushed. The bytes of manifests stay for a garbage collection: they are small, and an image that
/// comes back costs no pull of a rate limit then.
/// </summary>
/// <remarks>
/// This is a sweep like that of <see cref="Sweeper"/> with other marks, namely what hosted repositories have, and with no grace. It is safe
/// beside pushes for the same reasons: content that was touched after the marks were begun stays, however much later the eviction is. A
/// push links a blob before it stores it, so no blob of a push is older than its link. A blob's last use is its last touch, so a server
/// that serves a blob touches it (<see cref="IContentStore.TouchAsync"/>). It is safe beside a garbage collection, which deletes only what
/// no name reaches: neither relies on what the other deletes.
/// </remarks>
public sealed class Evictor(
    IContentStore content, IReferenceStore references, ISweepStore store, IProvenanceStore provenance, EvictorOptions? options = null)
{
    private readonly ISweepStore _store = store.ForEvictions;
    private readonly EvictorOptions _options = options ?? new EvictorOptions();

    /// <summary>Looks through the store for what can be evicted; null while another eviction runs.</summary>
    /// <param name="isMirrored">Whether the repository is one of an upstream.</param>
    /// <param name="isUrgent">Whether downloads wait for room: see <see cref="IImageUses"/>.</param>
    public async Task<CachedImages?> MeasureAsync(
        Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken, bool isUrgent = true)
    {
        await using var turn = await _store.BeginAsync(cancellationToken);
        if (turn is null)
            return null;
        var cached = new CachedImages(turn.Began);
        var marks = new EvictionMarks(content, references, _store, provenance, cached, _options.Notes, isMirrored, cancellationToken);
        return await marks.ReadAsync(() => ReadPullsAsync(cached, isUrgent, cancellationToken));
    }

    /// <summary>Removes the least recently used images of an index; null while another eviction runs.</summary>
    /// <param name="bytes">How much is to be freed. Less is freed if the index has no more; more, because an image goes as a whole.</param>
    public Task<Eviction?> EvictAsync(CachedImages cached, long bytes, CancellationToken cancellationToken) =>
        RunAsync(cached, freed => freed < bytes && cached.TryTake(out var image) ? image : null, cancellationToken);

    /// <summary>
    /// Removes the images of an index that nothing has used since a time; null while another eviction runs. Removes none if the pulls are
    /// not known: the dates in the store alone do not tell that clients use an image whose layers they have.
    /// </summary>
    /// <param name="since">That time, for each repository; null for one whose images do not go for their age.</param>
    public Task<Eviction?> EvictUnusedAsync(
        CachedImages cached, Func<RepositoryName, DateTimeOffset?> since, CancellationToken cancellationToken)
    {
        if (!cached.PullsAreKnown)
            return Task.FromResult<Eviction?>(new Eviction(0, 0, cached.Bytes));
        var unused = new Queue<CachedImage>(cached.Offered.Where(image => IsUnused(cached, image, since)));
        return RunAsync(cached, _ => unused.TryDequeue(out var image) ? image : null, cancellationToken);
    }

    /// <summary>What <see cref="EvictAsync"/> would remove, in its order; null while another eviction runs. Nothing is removed.</summary>
    /// <param name="most">How many bytes may stay.</param>
    public async Task<EvictionPreview?> PlanAsync(long most, Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken)
    {
        if (await MeasureAsync(isMirrored, cancellationToken) is not { } cached)
            return null;
        var pinned = await PinnedAsync(cancellationToken);
        var read = BeingRead();
        List<(CachedImage, IReadOnlyList<(Digest, long)>)> going = [];
        for (var left = cached.Bytes; left > most && cached.TryTake(out var image);)
        {
            List<(Digest Digest, long Bytes)> own = [.. OwnBlobs(cached, image, pinned)];
            if (!MayGo(cached, image, pinned) || own.Exists(blob => read.Contains(blob.Digest)))
                continue;
            cached.Let(image);
            left -= own.Sum(blob => blob.Bytes);
            going.Add((image, own));
        }
        return new EvictionPreview(cached.Bytes, going);
    }

    private static IEnumerable<(Digest Digest, long Bytes)> OwnBlobs(CachedImages cached, CachedImage image, PinnedContent? pinned) =>
        cached.OwnBlobs(image).Where(blob => pinned?.IsPinned(blob.Digest) != true);

    // A blob by itself is unused where it is unused in each repository that has it.
    private static bool IsUnused(CachedImages cached, CachedImage image, Func<RepositoryName, DateTimeOffset?> since) =>
        image.Name is { } name ? image.Used < since(name) : cached.NamesOf(image.Root).All(name => image.Used < since(name));

    private async Task<Eviction?> RunAsync(CachedImages cached, Func<long, CachedImage?> next, CancellationToken cancellationToken)
    {
        await using var turn = await _store.BeginAsync(cancellationToken);
        if (turn is null)
            return null;
        await _store.RequireReadableAsync(cancellationToken);
        var read = BeingRead();
        // Pinned blobs count, so the limit holds for them too. They are left out here, because they may have been pinned a moment ago.
        var pinned = await PinnedAsync(cancellationToken);
        await ReadPullsAsync(cached, isUrgent: true, cancellationToken);
        var (blobs, freed) = (0, 0L);
        while (next(freed) is { } image)
        {
            List<Digest> own = [.. OwnBlobs(cached, image, pinned).Select(blob => blob.Digest)];
            if (!MayGo(cached, image, pinned) || own.Exists(read.Contains) || await IsYoungAsync(own, cached.Began, cancellationToken))
                continue;
            await using var taken = await _options.TakeAsync(own);
            if (taken is null)
                continue;
            await RemoveManifestsAsync(cached, image, cancellationToken);
            cached.Let(image);
            foreach (var digest in own)
            {
                if (await _store.SweepContentAsync(digest, cached.Began, cancellationToken) is not { } length)
                    continue;
                blobs++;
                freed += length;
                cached.Evicted(length);
                // When the blob is fetched again, upstream is asked again who may serve it.
                foreach (var name in cached.NamesOf(digest))
                    await _store.SweepBlobAsync(name, digest, cached.Began, cancellationToken);
            }
        }
        return new Eviction(blobs, freed, cached.Bytes);
    }

    private bool MayGo(CachedImages cached, CachedImage image, PinnedContent? pinned) =>
        !image.IsPulledSince && pinned?.IsPinned(image.Root) != true
        && !(image.Name is { } name ? _options.IsPinned(name) : cached.NamesOf(image.Root).Any(_options.IsPinned));

    private HashSet<Digest> BeingRead() => [.. _store.BeingRead(), .. _options.RecentlyRead()];

    // Before anything of it goes: an image is whole, or it is not there.
    private async ValueTask<bool> IsYoungAsync(List<Digest> blobs, DateTimeOffset before, CancellationToken stop)
    {
        foreach (var digest in blobs)
            if (await _store.LastTouchedAsync(digest, stop) >= before)
                return true;
        return false;
    }

    private async Task RemoveManifestsAsync(CachedImages cached, CachedImage image, CancellationToken stop)
    {
        if (image.Name is not { } name || _options.RemoveManifestAsync is not { } remove)
            return;
        foreach (var manifest in cached.OwnManifests(image).ToList())
            if (await provenance.FindAsync(name, manifest, stop) == Provenance.Copied)
                await remove(name, manifest, stop);
    }

    private async ValueTask<PinnedContent?> PinnedAsync(CancellationToken stop) =>
        _options.Pins is { } pins ? await PinnedContent.ReadAsync(pins, references, content, stop) : null;

    private async ValueTask ReadPullsAsync(CachedImages cached, bool isUrgent, CancellationToken stop)
    {
        if (_options.Uses is { } uses)
            cached.PullsAreKnown &= await uses.ReadAsync(cached.Pulled, isUrgent, stop);
    }
}

/// <summary>What an <see cref="Evictor"/> knows beside the store.</summary>
public sealed record EvictorOptions
{
    /// <summary>The images that stay; null where none is pinned.</summary>
    public IPinStore? Pins { get; init; }

    /// <summary>Whether all images of a repository stay.</summary>
    public Func<RepositoryName, bool> IsPinned { get; init; } = _ => false;

    /// <summary>When images were pulled; null where only the dates in the store tell.</summary>
    public IImageUses? Uses { get; init; }

    /// <summary>What manifests name; null where each is read from the store.</summary>
    public IManifestNotes? Notes { get; init; }

    /// <summary>The blobs that clients may be reading, beside those that the store knows of.</summary>
    public Func<IEnumerable<Digest>> RecentlyRead { get; init; } = () => [];

    /// <summary>
    /// Keeps readers from blobs that are about to be deleted, until its result is disposed; null where one of them may be read.
    /// </summary>
    public Func<IReadOnlyCollection<Digest>, ValueTask<IAsyncDisposable?>> TakeAsync { get; init; } =
        _ => ValueTask.FromResult<IAsyncDisposable?>(Stream.Null);

    /// <summary>Removes a manifest from a repository, with the tags that name it; null where manifests stay.</summary>
    public Func<RepositoryName, Digest, CancellationToken, ValueTask>? RemoveManifestAsync { get; init; }
}

/// <summary>The result of an <see cref="Evictor"/>.</summary>
/// <param name="Blobs">How many blobs were deleted.</param>
/// <param name="Freed">The bytes of the deleted blobs.</param>
/// <param name="Bytes">The bytes of mirrored blobs that are left.</param>
public sealed record Eviction(int Blobs, long Freed, long Bytes);

/// <summary>What an <see cref="Evictor"/> would remove.</summary>
/// <param name="Bytes">The bytes of all mirrored blobs.</param>
/// <param name="Going">The images in their order, each with the blobs that would go with it.</param>
public sealed record EvictionPreview(
    long Bytes, IReadOnlyList<(CachedImage Image, IReadOnlyList<(Digest Digest, long Bytes)> Blobs)> Going);
