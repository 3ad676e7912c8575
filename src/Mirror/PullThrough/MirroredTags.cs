using Microsoft.Extensions.Caching.Memory;
using Mirror.Health;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.PullThrough;

/// <summary>
/// The tags of mirrored repositories: when they were last checked, and which stored manifest they name. A stored tag moves only to a
/// manifest that is stored, so that it never names a manifest that the mirror cannot serve.
/// </summary>
/// <remarks>
/// Docker sends HEAD by tag and then GET by digest. After such a HEAD the tag is pending: it moves when the manifest that it names is
/// stored.
/// </remarks>
public sealed class MirroredTags(
    TagFreshness freshness, IReferenceStore references, IProvenanceStore provenance, StoreWrites writes) : IDisposable
{
    private const int MaxPending = 100_000;

    // The pending tags of each manifest that is not stored yet.
    private readonly MemoryCache _pending = new(new MemoryCacheOptions { SizeLimit = MaxPending });
    private readonly Lock _gate = new();
    private long _stores;

    /// <summary>Changes with each manifest that is stored. A caller reads it before it looks whether a manifest is stored.</summary>
    public long Stores => Volatile.Read(ref _stores);

    /// <summary>When the tags were last checked.</summary>
    public TagFreshness Freshness => freshness;

    /// <summary>The stored manifest that the tag names; null for a tag that was never stored.</summary>
    public ValueTask<Digest?> StoredAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        references.ResolveTagAsync(name, tag, cancellationToken);

    /// <summary>
    /// Remembers the manifest that the tag names at upstream now. The stored tag moves at once if this manifest is stored, and otherwise
    /// when it is.
    /// </summary>
    public async ValueTask RecordCheckAsync(
        RepositoryName name, string tag, Descriptor current, bool isStored, CancellationToken cancellationToken)
    {
        var moved = await references.ResolveTagAsync(name, tag, cancellationToken) is { } previous && previous != current.Digest;
        if (isStored)
            await MoveAsync(name, tag, current.Digest, cancellationToken);
        else
            AddPending(name, tag, current.Digest);
        await freshness.RecordCheckAsync(name, tag, current, moved);
    }

    /// <summary>A manifest was stored: moves the pending tags that name it.</summary>
    public async ValueTask ManifestStoredAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        // First this, then the look for pending tags. A check of a tag does it the other way round.
        Interlocked.Increment(ref _stores);
        foreach (var tag in TakePending(name, digest))
            await MoveAsync(name, tag, digest, cancellationToken);
    }

    /// <summary>
    /// The stored manifest that the tag names, if a client pushed it, or may have pushed it: then the provenance is null. Null for a copy,
    /// and if there is no such tag.
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
            writes.Failed($"what {name}:{tag} names", failure);
        }
    }

    public void Dispose() => _pending.Dispose();

    private async ValueTask MoveAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            if (await references.ResolveTagAsync(name, tag, cancellationToken) != digest)
                await references.SetTagAsync(name, tag, digest, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            writes.Failed($"what {name}:{tag} names", failure);
        }
    }

    private void AddPending(RepositoryName name, string tag, Digest digest)
    {
        lock (_gate)
        {
            if (_pending.TryGetValue((name, digest), out string[]? tags) && tags!.Contains(tag))
                return;
            string[] more = [.. tags ?? [], tag];
            _pending.Set((name, digest), more, new MemoryCacheEntryOptions { Size = more.Length });
        }
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
