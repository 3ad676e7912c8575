using Microsoft.Extensions.Caching.Memory;
using Mirror.Fleet;
using Mirror.Health;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.PullThrough;

/// <summary>
/// The tags of mirrored repositories: when they were last checked, and which stored manifest they name. A stored tag moves only to a
/// manifest that is stored, so that it never names a manifest that the mirror cannot serve.
/// </summary>
/// <remarks>
/// Docker sends HEAD by tag and then GET by digest. If the manifest that such a HEAD found is not stored, the tag is pending: it moves
/// when that manifest is stored. Another replica may get the GET, so the replicas share pending tags.
/// </remarks>
public sealed class MirroredTags(
    TagFreshness freshness, FleetCache shared, IReferenceStore references, IProvenanceStore provenance, StoreWrites writes) : IDisposable
{
    private const int MaxPending = 100_000;
    private const string Kind = "pending";

    // The pending tags of each manifest that is not stored yet.
    private readonly MemoryCache _pending = new(new MemoryCacheOptions { SizeLimit = MaxPending });
    private readonly Lock _gate = new();
    private long _storeVersion;

    /// <summary>Grows with each stored manifest. Read it before you look for a manifest: if it has grown afterwards, a manifest may have
    /// been stored meanwhile, so look again.</summary>
    public long StoreVersion => Volatile.Read(ref _storeVersion);

    /// <summary>When the tags were last checked.</summary>
    public TagFreshness Freshness => freshness;

    /// <summary>The stored manifest that the tag names; null if the store has no such tag, or if this process may not read it.</summary>
    public ValueTask<Digest?> StoredAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        UnreadableException.SkipAsync(() => references.ResolveTagAsync(name, tag, cancellationToken));

    /// <summary>
    /// Remembers the manifest that the tag names at upstream now. The stored tag moves at once if this manifest is stored, and otherwise
    /// when it is.
    /// </summary>
    /// <param name="isStale">Whether upstream could not check that itself: then the tag is not fresh, and the next request asks
    /// again.</param>
    public async ValueTask RecordCheckAsync(
        RepositoryName name, string tag, Descriptor current, bool isStored, bool isStale, CancellationToken cancellationToken)
    {
        var moved = await StoredAsync(name, tag, cancellationToken) is { } previous && previous != current.Digest;
        if (isStored)
            await MoveAsync(name, tag, current.Digest, skipPushedCheck: true, cancellationToken);
        if (isStale)
            freshness.RecordStale(name, tag, current);
        else
            await freshness.RecordCheckAsync(name, tag, current, moved);
        // A pending tag moves only to what its last check named, so the check is recorded before.
        if (!isStored)
            await AddPendingAsync(name, tag, current.Digest);
    }

    /// <summary>
    /// A client is told which manifest the tag names, as an earlier check found it. Possibly the stored tag does not name this
    /// manifest yet: another replica checked the tag or stored the manifest, or the manifest was evicted. So the tag moves now, or when the
    /// manifest is stored.
    /// </summary>
    public ValueTask MoveToAnsweredAsync(RepositoryName name, string tag, Digest digest, bool isStored)
    {
        if (isStored)
            return freshness.TakeTagUpdate(name, tag, digest)
                ? MoveAsync(name, tag, digest, skipPushedCheck: false, CancellationToken.None)
                : ValueTask.CompletedTask;
        freshness.ReopenTagUpdate(name, tag);
        return AddPendingAsync(name, tag, digest);
    }

    /// <summary>A manifest was stored: moves the pending tags that name it.</summary>
    public async ValueTask ManifestStoredAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        // Count first, then look for pending tags. A check of a tag reads the count, looks for the manifest, adds the pending tag, and
        // reads the count again (MirroredManifests.CheckAsync). So at least one of the two notices the other.
        Interlocked.Increment(ref _storeVersion);
        foreach (var tag in TakePending(name, digest))
            await MovePendingAsync(tag, skipPushedCheck: true);
        if (await shared.FindAsync(Kind, Key(name, digest)) is not { } tags)
            return;
        await shared.ForgetAsync(Kind, Key(name, digest));
        foreach (var tag in tags.Split(' '))
            await MovePendingAsync(tag, skipPushedCheck: false);

        // A later check may have found that the tag names another manifest.
        async ValueTask MovePendingAsync(string tag, bool skipPushedCheck)
        {
            if (await freshness.LastCheckFoundAsync(name, tag, digest))
                await MoveAsync(name, tag, digest, skipPushedCheck, cancellationToken);
        }
    }

    /// <summary>
    /// The stored manifest that the tag names, unless it is a copy. <c>Mark</c> is <see cref="Provenance.Pushed"/> if a client pushed it,
    /// and null if that is not known. The result is null for a copy, and if there is no such tag.
    /// </summary>
    public async ValueTask<(Digest Digest, Provenance? Mark)?> NotCopiedAsync(RepositoryName name, string tag, CancellationToken stop) =>
        await references.ResolveTagAsync(name, tag, stop) is { } named
            && await provenance.FindAsync(name, named, stop) is var mark && mark != Provenance.Copied
            ? (named, mark)
            : null;

    /// <summary>Removes a tag that upstream no longer has, unless a client may have pushed the tag.</summary>
    public async ValueTask RemoveAsync(RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        await freshness.ForgetAsync(name, tag);
        try
        {
            if (await references.ResolveTagAsync(name, tag, cancellationToken) is { } named
                && await provenance.FindAsync(name, named, cancellationToken) == Provenance.Copied)
                await references.DeleteTagAsync(name, tag, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            writes.Failed($"the deletion of the tag {name}:{tag}", failure, name);
        }
    }

    public void Dispose() => _pending.Dispose();

    private static string Key(RepositoryName name, Digest digest) => $"{name}@{digest}";

    /// <param name="skipPushedCheck">True: the caller has found out already that no client pushed the manifest that the tag names now.
    /// False: a tag whose manifest a client may have pushed does not move.</param>
    private async ValueTask MoveAsync(
        RepositoryName name, string tag, Digest digest, bool skipPushedCheck, CancellationToken cancellationToken)
    {
        try
        {
            var named = await references.ResolveTagAsync(name, tag, cancellationToken);
            if (named == digest || !skipPushedCheck && named is { } pushed
                && await provenance.FindAsync(name, pushed, cancellationToken) != Provenance.Copied)
                return;
            await references.SetTagAsync(name, tag, digest, cancellationToken);
            if ((await references.FindManifestAsync(name, digest, cancellationToken)).Linked)
                return;
            // An eviction removed the manifest after the caller had found it, and may have listed the manifest's tags before this one was
            // set (RepositoryDeletions). So delete this tag here, and make it pending again.
            await references.DeleteTagAsync(name, tag, cancellationToken);
            await MoveToAnsweredAsync(name, tag, digest, isStored: false);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            writes.Failed($"the tag {name}:{tag}", failure, name);
        }
    }

    private async ValueTask AddPendingAsync(RepositoryName name, string tag, Digest digest)
    {
        string[] tags;
        lock (_gate)
        {
            tags = _pending.Get<string[]>((name, digest)) ?? [];
            if (!tags.Contains(tag))
                _pending.Set((name, digest), tags = [.. tags, tag], new MemoryCacheEntryOptions { Size = tags.Length });
        }
        // Other replicas may have checked other tags that name this manifest.
        var known = (await shared.FindAsync(Kind, Key(name, digest)))?.Split(' ') ?? [];
        if (tags.Except(known).Any())
            await shared.RememberAsync(Kind, Key(name, digest), string.Join(' ', known.Union(tags)), TagFreshness.PendingLife);
    }

    private string[] TakePending(RepositoryName name, Digest digest)
    {
        lock (_gate)
        {
            if (!_pending.TryGetValue((name, digest), out string[]? tags))
                return [];
            _pending.Remove((name, digest));
            return tags!;
        }
    }
}
