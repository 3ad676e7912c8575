using System.Collections.Concurrent;
using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Keeps mirrored content within a size: removes the least recently used images, and deletes the blobs that no other image needs. It
/// deletes a blob only if no hosted repository has it, and every mirrored repository that has it got it from upstream, because such a blob
/// can be fetched again. It never deletes content that was pushed, or that may have been pushed. It leaves the bytes of manifests to a
/// garbage collection: they are small. If a client asks for the image again before that, the server still has its manifest, and the request
/// does not count for upstream's rate limit.
/// </summary>
/// <remarks>
/// Like <see cref="Sweeper"/>, it marks content and deletes other content. It marks what hosted repositories have. It has no grace. It is
/// safe beside pushes: content that was touched after the marking began is never deleted, however much later the eviction is. As the clocks
/// of a store's machines differ, this includes what seems to be touched a little before. A push writes the link first and the blob second.
/// So if the marking does not see the link, the blob is newer than the marking. A blob's last use is its last touch, so a server that
/// serves a blob touches it (<see cref="IContentStore.TouchAsync"/>). It is safe beside a garbage collection, which deletes only what no
/// name reaches: neither relies on what the other deletes.
/// </remarks>
public sealed class Evictor(
    IContentStore content, IReferenceStore references, ISweepStore store, IProvenanceStore provenance, EvictorOptions? options = null)
{
    // How many images go at once, and how many requests are sent to the store at once for them.
    private const int AtOnce = 16;

    private readonly ISweepStore _store = store.ForEvictions;
    private readonly EvictorOptions _options = options ?? new EvictorOptions();

    /// <summary>Looks through the store for what can be evicted; null while another eviction runs.</summary>
    /// <param name="isMirrored">Whether the repository is one of an upstream.</param>
    /// <param name="isUrgent">Whether downloads wait for room: then the pulls are read for a short time only, see
    /// <see cref="IImageUses"/>.</param>
    public async Task<CachedImages?> MeasureAsync(
        Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken, bool isUrgent = true)
    {
        await using var turn = await _store.BeginAsync(cancellationToken);
        if (turn is null)
            return null;
        var cached = new CachedImages(turn.Began, _store.MaxClockSkew);
        var marks = new EvictionMarks(content, references, _store, provenance, cached, _options.Notes, isMirrored, cancellationToken);
        return await marks.ReadAsync(() => ReadPullsAsync(cached, isUrgent, cancellationToken));
    }

    /// <summary>Removes the least recently used images of an index; null while another eviction runs.</summary>
    /// <param name="bytes">How many bytes to free. It may free less, if the index ends, and more, because it evicts whole images.</param>
    public Task<Eviction?> EvictAsync(CachedImages cached, long bytes, CancellationToken cancellationToken) =>
        RunAsync(cached, freed => freed < bytes && cached.TryTake(out var image) ? image : null, cancellationToken);

    /// <summary>
    /// Removes the images of an index that nothing has used since a time; null while another eviction runs. Removes none if the pulls are
    /// not known: a client that has all layers requests only the manifest, and the dates of the layers do not show such a pull.
    /// </summary>
    /// <param name="since">The time for a repository: images that nothing has used since then are removed. Null: images of this repository
    /// are not removed for their age.</param>
    public Task<Eviction?> EvictUnusedAsync(
        CachedImages cached, Func<RepositoryName, DateTimeOffset?> since, CancellationToken cancellationToken)
    {
        if (!cached.PullsAreKnown)
            return Task.FromResult<Eviction?>(new Eviction(0, 0, cached.Bytes));
        var unused = new Queue<CachedImage>(cached.Offered.Where(image => IsUnused(cached, image, since)));
        return RunAsync(cached, _ => unused.TryDequeue(out var image) ? image : null, cancellationToken);
    }

    /// <summary>What <see cref="EvictAsync"/> would remove, in its order; null while another eviction runs. Nothing is removed.</summary>
    /// <param name="most">How many bytes may be left.</param>
    public async Task<EvictionPreview?> PlanAsync(long most, Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken)
    {
        if (await MeasureAsync(isMirrored, cancellationToken) is not { } cached)
            return null;
        var pinned = await PinnedAsync(cancellationToken);
        var read = BeingRead();
        List<(CachedImage, IReadOnlyList<(Digest, long)>)> evicted = [];
        for (var left = cached.Bytes; left > most && cached.TryTake(out var image);)
        {
            List<(Digest Digest, long Bytes)> own = [.. OwnBlobs(cached, image, pinned)];
            if (!MayGo(cached, image, pinned) || own.Exists(blob => read.Contains(blob.Digest)))
                continue;
            cached.MarkEvicted(image);
            left -= own.Sum(blob => blob.Bytes);
            evicted.Add((image, own));
        }
        return new EvictionPreview(cached.Bytes, evicted);
    }

    private static IEnumerable<(Digest Digest, long Bytes)> OwnBlobs(CachedImages cached, CachedImage image, PinnedContent? pinned) =>
        cached.OwnBlobs(image).Where(blob => pinned?.IsPinned(blob.Digest) != true);

    // A blob that no stored manifest names is unused if it is unused in every repository that has it.
    private static bool IsUnused(CachedImages cached, CachedImage image, Func<RepositoryName, DateTimeOffset?> since) =>
        image.Name is { } name ? image.Used < since(name) : cached.NamesOf(image.Root).All(name => image.Used < since(name));

    private async Task<Eviction?> RunAsync(CachedImages cached, Func<long, CachedImage?> next, CancellationToken cancellationToken)
    {
        await using var turn = await _store.BeginAsync(cancellationToken);
        if (turn is null)
            return null;
        await _store.RequireReadableAsync(cancellationToken);
        var read = BeingRead();
        // The pins are read again here, because an image may have been pinned after the index was built. The bytes of pinned blobs count
        // towards the limit.
        var pinned = await PinnedAsync(cancellationToken);
        await ReadPullsAsync(cached, isUrgent: true, cancellationToken);
        var all = new Eviction(0, 0, cached.Bytes);
        while (true)
        {
            // 1. Take a few images, and look which of their blobs are young: from a bucket for all of them at once.
            List<CachedImage> offered = [];
            for (var planned = 0L; offered.Count < AtOnce && next(all.Freed + planned) is { } image; offered.Add(image))
                planned += OwnBlobs(cached, image, pinned).Sum(blob => blob.Bytes);
            if (offered.Count == 0)
                return all;
            ConcurrentDictionary<Digest, bool> young = [];
            await LookAsync(young, offered.SelectMany(image => OwnBlobs(cached, image, pinned)), cached.KeptSince, cancellationToken);
            List<Going> going = [];
            try
            {
                // 2. Choose, one after the other: which blobs are an image's own depends on those that went before it.
                foreach (var image in offered)
                    if (await ChooseAsync(cached, image, pinned, read, young, cancellationToken) is { } chosen)
                        going.Add(chosen);

                // 3. Remove them together, because a bucket takes many requests for each. The manifests go first: no client gets a manifest
                // whose layers are being deleted.
                var (blobs, freed) = await RemoveAsync(cached, going, cancellationToken);
                cached.Evicted(freed);
                all = new Eviction(all.Blobs + blobs, all.Freed + freed, cached.Bytes);
                _options.Freed(blobs, freed);
            }
            finally
            {
                foreach (var image in going)
                    await image.Taken.DisposeAsync();
            }
        }
    }

    private async ValueTask<Going?> ChooseAsync(
        CachedImages cached, CachedImage image, PinnedContent? pinned, HashSet<Digest> read,
        ConcurrentDictionary<Digest, bool> young, CancellationToken stop)
    {
        List<(Digest Digest, long Bytes)> blobs = [.. OwnBlobs(cached, image, pinned)];
        if (!MayGo(cached, image, pinned) || blobs.Exists(blob => read.Contains(blob.Digest)))
            return null;
        // An image must be kept whole or be evicted whole.
        await LookAsync(young, blobs, cached.KeptSince, stop);
        if (blobs.Exists(blob => young[blob.Digest]) || await _options.TakeAsync([.. blobs.Select(blob => blob.Digest)]) is not { } taken)
            return null;
        List<Digest> manifests = image.Name is null ? [] : [.. cached.OwnManifests(image)];
        cached.MarkEvicted(image);
        return new Going(image, manifests, blobs, taken);
    }

    private async Task<(int Blobs, long Freed)> RemoveAsync(CachedImages cached, List<Going> going, CancellationToken cancellationToken)
    {
        var (blobs, freed) = (0, 0L);
        await Parallel.ForEachAsync(
            going.SelectMany(image => image.Manifests.Select(manifest => (image.Image.Name!.Value, manifest))),
            AtOnceUntil(cancellationToken),
            async (manifest, stop) => await RemoveManifestAsync(manifest.Value, manifest.manifest, stop));
        await Parallel.ForEachAsync(
            going.SelectMany(image => image.Blobs), AtOnceUntil(cancellationToken),
            async (blob, stop) =>
            {
                // The links go too: when a client asks for the blob again, the server must ask upstream again whether the repository may
                // serve it.
                if (await _store.SweepCopyAsync(blob.Digest, cached.NamesOf(blob.Digest), cached.KeptSince, stop) is not { } length)
                    return;
                Interlocked.Increment(ref blobs);
                Interlocked.Add(ref freed, length);
            });
        return (blobs, freed);
    }

    private bool MayGo(CachedImages cached, CachedImage image, PinnedContent? pinned) =>
        !image.IsPulledSince && pinned?.IsPinned(image.Root) != true
        && !(image.Name is { } name ? _options.IsPinnedByPolicy(name) : cached.NamesOf(image.Root).Any(_options.IsPinnedByPolicy));

    private HashSet<Digest> BeingRead() => [.. _store.BeingRead(), .. _options.RecentlyRead()];

    // Finds out which blobs were touched since the index was begun.
    private Task LookAsync(
        ConcurrentDictionary<Digest, bool> young, IEnumerable<(Digest Digest, long Bytes)> blobs, DateTimeOffset before,
        CancellationToken cancellationToken) =>
        Parallel.ForEachAsync(
            blobs.Select(blob => blob.Digest).Where(digest => !young.ContainsKey(digest)).ToList(), AtOnceUntil(cancellationToken),
            async (digest, stop) => young[digest] = await _store.LastTouchedAsync(digest, stop) >= before);

    private static ParallelOptions AtOnceUntil(CancellationToken stop) =>
        new() { MaxDegreeOfParallelism = AtOnce, CancellationToken = stop };

    private async ValueTask RemoveManifestAsync(RepositoryName name, Digest manifest, CancellationToken stop)
    {
        if (_options.RemoveManifestAsync is { } remove && await provenance.FindAsync(name, manifest, stop) == Provenance.Copied)
            await remove(name, manifest, stop);
    }

    private async ValueTask<PinnedContent?> PinnedAsync(CancellationToken stop) =>
        _options.Pins is { } pins ? await PinnedContent.ReadAsync(pins, references, content, stop) : null;

    private async ValueTask ReadPullsAsync(CachedImages cached, bool isUrgent, CancellationToken stop)
    {
        if (_options.Uses is { } uses)
            cached.PullsAreKnown &= await uses.ReadAsync(cached.Pulled, isUrgent, stop);
    }

    // An image that is being evicted, with what goes with it. Taken keeps readers away from its blobs.
    private sealed record Going(
        CachedImage Image, List<Digest> Manifests, List<(Digest Digest, long Bytes)> Blobs, IAsyncDisposable Taken);
}

/// <summary>What an <see cref="Evictor"/> knows beside the store.</summary>
public sealed record EvictorOptions
{
    /// <summary>The pinned images, which are kept; null if there are none.</summary>
    public IPinStore? Pins { get; init; }

    /// <summary>Whether a policy keeps all images of a repository.</summary>
    public Func<RepositoryName, bool> IsPinnedByPolicy { get; init; } = _ => false;

    /// <summary>When images were pulled; null if only the dates in the store are known.</summary>
    public IImageUses? Uses { get; init; }

    /// <summary>A cache of what each manifest names; null: every manifest is read from the store.</summary>
    public IManifestNotes? Notes { get; init; }

    /// <summary>The blobs that clients may be reading, beside those that the store knows of.</summary>
    public Func<IEnumerable<Digest>> RecentlyRead { get; init; } = () => [];

    /// <summary>
    /// Keeps readers from blobs that are about to be deleted, until its result is disposed; null where one of them may be read.
    /// </summary>
    public Func<IReadOnlyCollection<Digest>, ValueTask<IAsyncDisposable?>> TakeAsync { get; init; } =
        _ => ValueTask.FromResult<IAsyncDisposable?>(Stream.Null);

    /// <summary>Is called as room is made, with the number of the deleted blobs and their bytes: an eviction can take minutes.</summary>
    public Action<int, long> Freed { get; init; } = (_, _) => { };

    /// <summary>Removes a manifest from a repository, with the tags that name it; null if manifests are kept.</summary>
    public Func<RepositoryName, Digest, CancellationToken, ValueTask>? RemoveManifestAsync { get; init; }
}

/// <summary>The result of an <see cref="Evictor"/>.</summary>
/// <param name="Blobs">How many blobs were deleted.</param>
/// <param name="Freed">The bytes of the deleted blobs.</param>
/// <param name="BytesLeft">The bytes of mirrored blobs that are left.</param>
public sealed record Eviction(int Blobs, long Freed, long BytesLeft);

/// <summary>What an <see cref="Evictor"/> would remove.</summary>
/// <param name="BytesStored">The bytes of all mirrored blobs.</param>
/// <param name="Images">The images in their order, each with the blobs that would be deleted with it.</param>
public sealed record EvictionPreview(
    long BytesStored, IReadOnlyList<(CachedImage Image, IReadOnlyList<(Digest Digest, long Bytes)> Blobs)> Images);
