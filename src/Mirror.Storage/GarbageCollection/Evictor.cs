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
/// <para>Like <see cref="Sweeper"/>, it first marks what must be kept: all content of hosted repositories; and in mirrored ones, what
/// pushed manifests name and each blob that is not known to be a copy. It has no grace.</para>
/// <para>It is safe beside pushes. It never deletes content that was touched after the marking began, even if it runs much later; as the
/// clocks of a store's machines differ, it also keeps content that was touched a little before. A push writes the link first and the blob
/// second. So if the marking does not see the link, the blob is newer than the beginning of the marking.</para>
/// <para>In a folder, a server that serves a blob touches it (<see cref="IContentStore.TouchAsync"/>), so its last touch is its last use.
/// In a bucket, where a touch costs a request, only the pulls of manifests tell when an image was last used.</para>
/// <para>It is safe beside a garbage collection, which deletes only content that no manifest names: neither needs what the other
/// deletes.</para>
/// </remarks>
public sealed class Evictor(
    IContentStore content, IReferenceStore references, ISweepStore store, IProvenanceStore provenance, EvictorOptions? options = null)
{
    // How many images are evicted at once, and how many requests for them the store gets at once.
    private const int AtOnce = 16;

    private readonly ISweepStore _store = store.ForEvictions;
    private readonly EvictorOptions _options = options ?? new EvictorOptions();

    /// <summary>Looks through the store for what can be evicted; null while another eviction runs.</summary>
    /// <param name="isMirrored">Whether the repository is one of an upstream.</param>
    /// <param name="isUrgent">Whether downloads wait for room: then reading the pulls may take a short time only, and some may be missing,
    /// see <see cref="IImageUses"/>.</param>
    public async Task<CachedImages?> ListCachedAsync(
        Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken, bool isUrgent = true)
    {
        await using var run = await _store.BeginAsync(cancellationToken);
        if (run is null)
            return null;
        var cached = new CachedImages(run.Began, _store.MaxClockSkew);
        var marks = new EvictionMarks(content, references, _store, provenance, cached, _options.Notes, isMirrored, cancellationToken);
        return await marks.ReadAsync(() => ReadPullsAsync(cached, isUrgent, cancellationToken));
    }

    /// <summary>Removes the least recently used images of a list; null while another eviction runs.</summary>
    /// <param name="bytes">How many bytes to free. It may free less, if the list ends, and more, because it evicts whole images.</param>
    public Task<Eviction?> EvictAsync(CachedImages cached, long bytes, CancellationToken cancellationToken) =>
        RunAsync(cached, freed => freed < bytes && cached.TryNext(out var image) ? image : null, cancellationToken);

    /// <summary>
    /// Removes the images of a list that nothing has used since a time; null while another eviction runs. Removes none if the pulls are
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
        // RunAsync reads the pulls again before it evicts.
        return RunAsync(cached, _ => cached.PullsAreKnown && unused.TryDequeue(out var image) ? image : null, cancellationToken);
    }

    /// <summary>What <see cref="EvictAsync"/> would remove, in its order; null while another eviction runs. Nothing is removed.</summary>
    /// <param name="maxLeft">How many bytes may be left.</param>
    public async Task<EvictionPreview?> PlanAsync(long maxLeft, Func<RepositoryName, bool> isMirrored, CancellationToken cancellationToken)
    {
        if (await ListCachedAsync(isMirrored, cancellationToken) is not { } cached)
            return null;
        var pinned = await PinnedAsync(cancellationToken);
        var read = BeingRead();
        List<(CachedImage, IReadOnlyList<(Digest, long)>)> evicted = [];
        for (var left = cached.Bytes; left > maxLeft && cached.TryNext(out var image);)
        {
            List<(Digest Digest, long Bytes)> own = [.. UnsharedBlobs(cached, image, pinned)];
            if (!MayBeEvicted(cached, image, pinned) || own.Exists(blob => read.Contains(blob.Digest)))
                continue;
            cached.MarkEvicted(image);
            left -= own.Sum(blob => blob.Bytes);
            evicted.Add((image, own));
        }
        return new EvictionPreview(cached.Bytes, evicted);
    }

    private static IEnumerable<(Digest Digest, long Bytes)> UnsharedBlobs(CachedImages cached, CachedImage image, PinnedContent? pinned) =>
        cached.UnsharedBlobs(image).Where(blob => pinned?.IsPinned(blob.Digest) != true);

    // A blob that no stored manifest names has one last use, but may be in several repositories, each with its own limit. It is unused if
    // it is older than the limit of each.
    private static bool IsUnused(CachedImages cached, CachedImage image, Func<RepositoryName, DateTimeOffset?> since) =>
        image.Name is { } name ? image.Used < since(name) : cached.NamesOf(image.Root).All(name => image.Used < since(name));

    private async Task<Eviction?> RunAsync(CachedImages cached, Func<long, CachedImage?> next, CancellationToken cancellationToken)
    {
        await using var run = await _store.BeginAsync(cancellationToken);
        if (run is null)
            return null;
        await _store.RequireReadableAsync(cancellationToken);
        var read = BeingRead();
        // ListCachedAsync may have run some time ago, and an image may have been pinned since. Pinned blobs stay, and their bytes count
        // towards the limit.
        var pinned = await PinnedAsync(cancellationToken);
        await ReadPullsAsync(cached, isUrgent: true, cancellationToken);
        var all = new Eviction(0, 0, cached.Bytes);
        while (true)
        {
            // 1. Take a few images, and look which of their blobs were touched since the list was begun. Look for all images at once,
            // because a bucket takes a request for each blob.
            List<CachedImage> offered = [];
            for (var planned = 0L; offered.Count < AtOnce && next(all.FreedBytes + planned) is { } image; offered.Add(image))
                planned += UnsharedBlobs(cached, image, pinned).Sum(blob => blob.Bytes);
            if (offered.Count == 0)
                return all;
            ConcurrentDictionary<Digest, bool> wasTouched = [];
            await LookAsync(
                wasTouched, offered.SelectMany(image => UnsharedBlobs(cached, image, pinned)), cached.KeptSince, cancellationToken);
            List<Chosen> chosen = [];
            try
            {
                // 2. Choose, one after the other: which blobs only one image needs depends on the images that are already chosen.
                foreach (var image in offered)
                    if (await ChooseAsync(cached, image, pinned, read, wasTouched, cancellationToken) is { } ready)
                        chosen.Add(ready);

                // 3. Remove them together, because a bucket takes many requests for each. Remove the manifests first: no client may get a
                // manifest whose layers are being deleted.
                var (blobs, freed) = await RemoveAsync(cached, chosen, cancellationToken);
                cached.SubtractBytes(freed);
                all = new Eviction(all.Blobs + blobs, all.FreedBytes + freed, cached.Bytes);
                _options.OnFreed(blobs, freed);
            }
            finally
            {
                foreach (var image in chosen)
                    await image.LockOut.DisposeAsync();
            }
        }
    }

    private async ValueTask<Chosen?> ChooseAsync(
        CachedImages cached, CachedImage image, PinnedContent? pinned, HashSet<Digest> read,
        ConcurrentDictionary<Digest, bool> wasTouched, CancellationToken stop)
    {
        List<(Digest Digest, long Bytes)> blobs = [.. UnsharedBlobs(cached, image, pinned)];
        if (!MayBeEvicted(cached, image, pinned) || blobs.Exists(blob => read.Contains(blob.Digest)))
            return null;
        // Images were chosen before this one, so more blobs may belong to this image alone now. One touched blob keeps the whole image.
        await LookAsync(wasTouched, blobs, cached.KeptSince, stop);
        if (blobs.Exists(blob => wasTouched[blob.Digest])
            || await _options.LockOutReadersAsync([.. blobs.Select(blob => blob.Digest)]) is not { } lockOut)
            return null;
        List<Digest> manifests = image.Name is null ? [] : [.. cached.OwnManifests(image)];
        cached.MarkEvicted(image);
        return new Chosen(image, manifests, blobs, lockOut);
    }

    private async Task<(int Blobs, long Freed)> RemoveAsync(CachedImages cached, List<Chosen> chosen, CancellationToken cancellationToken)
    {
        var (blobs, freed) = (0, 0L);
        await Parallel.ForEachAsync(
            chosen.SelectMany(image => image.Manifests.Select(manifest => (image.Image.Name!.Value, manifest))),
            AtOnceUntil(cancellationToken),
            async (manifest, stop) => await RemoveManifestAsync(manifest.Value, manifest.manifest, stop));
        await Parallel.ForEachAsync(
            chosen.SelectMany(image => image.Blobs), AtOnceUntil(cancellationToken),
            async (blob, stop) =>
            {
                // Remove the links too: when a client asks for the blob again, the server must ask upstream again whether the repository
                // may serve it.
                if (await _store.SweepCopyAsync(blob.Digest, cached.NamesOf(blob.Digest), cached.KeptSince, stop) is not { } length)
                    return;
                Interlocked.Increment(ref blobs);
                Interlocked.Add(ref freed, length);
            });
        return (blobs, freed);
    }

    private bool MayBeEvicted(CachedImages cached, CachedImage image, PinnedContent? pinned) =>
        !image.IsPulledSince && pinned?.IsPinned(image.Root) != true
        && !(image.Name is { } name ? _options.IsPinnedByPolicy(name) : cached.NamesOf(image.Root).Any(_options.IsPinnedByPolicy));

    private HashSet<Digest> BeingRead() => [.. _store.BeingRead(), .. _options.RecentlyRead()];

    // Finds out which blobs were touched since the list was begun.
    private Task LookAsync(
        ConcurrentDictionary<Digest, bool> wasTouched, IEnumerable<(Digest Digest, long Bytes)> blobs, DateTimeOffset since,
        CancellationToken cancellationToken) =>
        Parallel.ForEachAsync(
            blobs.Select(blob => blob.Digest).Where(digest => !wasTouched.ContainsKey(digest)).ToList(), AtOnceUntil(cancellationToken),
            async (digest, stop) => wasTouched[digest] = await _store.LastTouchedAsync(digest, stop) >= since);

    private static ParallelOptions AtOnceUntil(CancellationToken stop) =>
        new() { MaxDegreeOfParallelism = AtOnce, CancellationToken = stop };

    private async ValueTask RemoveManifestAsync(RepositoryName name, Digest manifest, CancellationToken stop)
    {
        if (_options.RemoveManifestAsync is { } remove && await provenance.FindAsync(name, manifest, stop) == Provenance.Copied)
            await remove(name, manifest, stop);
    }

    private async ValueTask<PinnedContent?> PinnedAsync(CancellationToken stop) =>
        _options.Pins is { } pins ? await PinnedContent.ReadAsync(pins, references, _store, content, stop) : null;

    private async ValueTask ReadPullsAsync(CachedImages cached, bool isUrgent, CancellationToken stop)
    {
        if (_options.Uses is { } uses)
            cached.PullsAreKnown &= await uses.ReadAsync(cached.Pulled, isUrgent, stop);
    }

    // An image that is being evicted, with its own manifests and blobs.
    private sealed record Chosen(
        CachedImage Image, List<Digest> Manifests, List<(Digest Digest, long Bytes)> Blobs, IAsyncDisposable LockOut);
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
    /// Lets no client begin to read these blobs until the result is disposed; null if a client may be reading one of them already.
    /// </summary>
    public Func<IReadOnlyCollection<Digest>, ValueTask<IAsyncDisposable?>> LockOutReadersAsync { get; init; } =
        _ => ValueTask.FromResult<IAsyncDisposable?>(Stream.Null);

    /// <summary>Is called each time some images were removed, with the number of deleted blobs and their bytes: an eviction can take
    /// minutes.</summary>
    public Action<int, long> OnFreed { get; init; } = (_, _) => { };

    /// <summary>Removes a manifest from a repository, with the tags that name it; null if manifests are kept.</summary>
    public Func<RepositoryName, Digest, CancellationToken, ValueTask>? RemoveManifestAsync { get; init; }
}

/// <summary>The result of an <see cref="Evictor"/>.</summary>
/// <param name="Blobs">How many blobs were deleted.</param>
/// <param name="FreedBytes">The bytes of the deleted blobs.</param>
/// <param name="BytesLeft">The bytes of mirrored blobs that are left.</param>
public sealed record Eviction(int Blobs, long FreedBytes, long BytesLeft);

/// <summary>What an <see cref="Evictor"/> would remove.</summary>
/// <param name="BytesStored">The bytes of all mirrored blobs.</param>
/// <param name="Images">The images in their order, each with the blobs that would be deleted with it.</param>
public sealed record EvictionPreview(
    long BytesStored, IReadOnlyList<(CachedImage Image, IReadOnlyList<(Digest Digest, long Bytes)> Blobs)> Images);
