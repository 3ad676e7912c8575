using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>The stores and services that all hosted repositories share.</summary>
public sealed record HostedStores(
    CheckedContentStore Content, IReferenceStore References, IReferrerStore ReferrerEntries, ManifestCache Manifests, Referrers Referrers,
    RepositoryDeletions Deletions, RepositoryLocks Locks, PushProtection Protection, IProvenanceStore Provenance,
    RepositoryNames Names, ILogger<HostedRepository> Log);

/// <summary>A repository that clients push to. Its content is in the store or nowhere.</summary>
public sealed partial class HostedRepository(RepositoryName name, HostedStores stores) : IRepository
{
    /// <summary>When a push is refused because content is missing, the error names at most this many blobs and manifests.</summary>
    public const int MaxMissing = 100;

    private const string Advice = "push again the images that need it; the command mirror verify lists them";

    public RepositoryName Name => name;

    public async ValueTask<Answer<Manifest>?> GetManifestAsync(Reference reference, CancellationToken cancellationToken)
    {
        if (reference.IsTag(out var tag, out var digest))
        {
            if (await stores.References.ResolveTagAsync(name, tag, cancellationToken) is not { } named)
                return null;
            digest = named;
        }
        if (await stores.Manifests.FindAsync(name, digest, cancellationToken) is { } manifest)
            return new(manifest, null);
        if ((await stores.References.FindManifestAsync(name, digest, cancellationToken)).Linked)
            LogGone(stores.Log, name.ToString(), digest.ToString(), Advice);
        return null;
    }

    public async ValueTask<Answer<Descriptor>?> HeadManifestAsync(Reference reference, CancellationToken cancellationToken)
    {
        if (await GetManifestAsync(reference, cancellationToken) is not { } answer)
            return null;
        await TouchAsync(() => stores.References.TouchManifestAsync(name, answer.Value.Descriptor.Digest, cancellationToken));
        return new Answer<Descriptor>(answer.Value.Descriptor, null);
    }

    public async ValueTask<Answer<Content>?> OpenBlobAsync(Digest digest, bool ignoreLease, CancellationToken cancellationToken)
    {
        if (!await stores.References.HasBlobAsync(name, digest, cancellationToken))
            return null;
        if (await stores.Content.OpenAsync(name, digest, cancellationToken) is { } stored)
            return new(stored, null);
        LogGone(stores.Log, name.ToString(), digest.ToString(), Advice);
        return null;
    }

    public ValueTask<bool> TryNoteRedirectAsync(Digest digest, CancellationToken cancellationToken) => new(true);

    public async ValueTask<Answer<long?>?> HeadBlobAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (!await stores.References.HasBlobAsync(name, digest, cancellationToken)
            || await stores.Content.ReadableSizeAsync(name, digest, cancellationToken) is not { } size)
            return null;
        await TouchAsync(() => stores.References.TouchBlobAsync(name, digest, cancellationToken));
        await TouchAsync(() => stores.Content.TouchAsync(digest, cancellationToken));
        return new Answer<long?>(size, null);
    }

    public async ValueTask<Answer<TagPage>?> ListTagsAsync(int? count, string? last, CancellationToken cancellationToken) =>
        await stores.References.PageOfTagsAsync(name, count, last, cancellationToken) is { } page ? new Answer<TagPage>(page, null) : null;

    public async ValueTask<Answer<ReferrerPage>> ListReferrersAsync(
        Digest subject, string? artifactType, Digest? last, CancellationToken cancellationToken) =>
        new(await stores.Referrers.PageAsync(name, subject, artifactType, last, cancellationToken), null);

    public async ValueTask<bool> DeleteManifestAsync(
        Digest digest, Action<Digest?>? condition, CancellationToken cancellationToken) =>
        await stores.Deletions.RemoveManifestAsync(name, digest, condition, cancellationToken) is not null;

    public ValueTask<bool> DeleteTagAsync(string tag, Action<Digest?>? condition, CancellationToken cancellationToken) =>
        stores.Deletions.RemoveTagAsync(name, tag, condition, cancellationToken);

    public ValueTask<bool> DeleteBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        stores.Deletions.RemoveBlobAsync(name, digest, cancellationToken);

    /// <summary>Links a blob into the repository and protects it from a garbage collection. False if the blob is not stored: the link is
    /// written all the same.</summary>
    public async ValueTask<bool> LinkBlobAsync(Digest digest, CancellationToken cancellationToken)
    {
        using var entered = await stores.Locks.EnterAsync(name, cancellationToken);
        await LinkAsync(digest, cancellationToken);
        if (!await stores.Content.TouchAsync(digest, cancellationToken))
            return false;
        if (await IsLinkGoneAsync(digest, cancellationToken))
            await LinkAsync(digest, cancellationToken);
        return true;
    }

    /// <summary>
    /// Stores a verified upload as a blob of the repository. The link is written first. So a garbage collection or an eviction that has not
    /// seen the link began before the blob was written, and such a collection or eviction keeps the blob. When this returns, the blob and
    /// its link survive a power cut.
    /// </summary>
    /// <exception cref="IOException">The store is full, or cannot be written; the blob is not stored.</exception>
    public async ValueTask CommitBlobAsync(Spool spool, Digest digest, CancellationToken cancellationToken)
    {
        using (await stores.Locks.EnterAsync(name, cancellationToken))
            await LinkAsync(digest, cancellationToken);
        await stores.Content.CommitAsync(spool, digest, cancellationToken);
        if (!await IsLinkGoneAsync(digest, cancellationToken))
            return;
        using (await stores.Locks.EnterAsync(name, cancellationToken))
            await LinkAsync(digest, cancellationToken);
    }

    /// <summary>
    /// Stores a manifest, lists it under its subject, and points tags at it. If the returned list is empty, the manifest, its entry under
    /// its subject and the tags survive a power cut, and at the last check the repository had everything that the manifest needs.
    /// </summary>
    /// <param name="blobs">The blobs that the manifest needs.</param>
    /// <param name="children">The manifests that the manifest needs.</param>
    /// <param name="condition">Called only if <paramref name="tags"/> has exactly one tag. Its argument is the digest that this tag names
    /// now, or null. If the manifest must not be stored, it throws.</param>
    /// <returns>Empty if all is stored. If the repository lacked content from the start: up to <see cref="MaxMissing"/> missing digests;
    /// nothing was stored. If a garbage collection deleted content meanwhile: the first such digest; the tags may point at the manifest
    /// already.</returns>
    public async ValueTask<IReadOnlyList<Digest>> PutManifestAsync(
        Manifest manifest, ManifestDocument document, IEnumerable<Digest> blobs, IEnumerable<Digest> children, IReadOnlyList<string> tags,
        Action<Digest?>? condition, CancellationToken cancellationToken)
    {
        using var entered = await stores.Locks.EnterAsync(name, cancellationToken);

        // 1. Check that the repository has what the manifest needs.
        (blobs, children) = ([.. blobs.Distinct()], [.. children.Distinct()]);
        List<Digest> missing = [];
        foreach (var blob in blobs)
            if (missing.Count < MaxMissing && await HeadBlobAsync(blob, cancellationToken) is null)
                missing.Add(blob);
        foreach (var child in children)
            if (missing.Count < MaxMissing && await HeadManifestAsync(child, cancellationToken) is null)
                missing.Add(child);
        if (missing.Count > 0)
            return missing;
        if (condition is not null && tags is [var only])
            condition(await stores.References.ResolveTagAsync(name, only, cancellationToken));

        // 2. List it under its subject and mark it as pushed, then store it: a stored manifest is never missing from that list.
        if (document.Subject is { } subject)
            await stores.ReferrerEntries.AddAsync(
                name, subject, manifest.Descriptor.Digest, document.DescriptorAsReferrer(manifest.Descriptor), cancellationToken);
        await stores.Provenance.MarkAsync(name, manifest.Descriptor.Digest, Provenance.Pushed, cancellationToken);
        await stores.Manifests.PutAsync(name, manifest, cancellationToken);
        stores.Names.Add(name);

        // 3. Check that no garbage collection, in this process or another, deleted any of it meanwhile. After this check, and until a tag
        // names the manifest, only a collection that deletes untagged manifests can delete any of it.
        IReadOnlyList<Digest> manifests = [manifest.Descriptor.Digest, .. children];
        if (await stores.Protection.TouchAllAsync(name, blobs, manifests, cancellationToken) is { } lost)
            return [lost];

        // 4. Point the tags at it.
        foreach (var tag in tags)
            await stores.References.SetTagAsync(name, tag, manifest.Descriptor.Digest, cancellationToken);

        // 5. A collection that deletes untagged manifests may have begun before the tags were set: check again.
        return tags.Count > 0 && await stores.Protection.TouchAllAsync(name, blobs, manifests, cancellationToken) is { } lostSince
            ? [lostSince]
            : [];
    }

    private async ValueTask LinkAsync(Digest digest, CancellationToken cancellationToken)
    {
        await stores.Provenance.MarkAsync(name, digest, Provenance.Pushed, cancellationToken);
        await stores.References.LinkBlobAsync(name, digest, cancellationToken);
    }

    // In a bucket, a sweep that has found an old link may delete the new one that a push writes at that moment. Call this after the content
    // was touched or committed: touching and committing wait until a sweep that condemned the content has ended. A link that exists then is
    // safe from later sweeps.
    private async ValueTask<bool> IsLinkGoneAsync(Digest digest, CancellationToken cancellationToken) =>
        !await stores.References.HasBlobAsync(name, digest, cancellationToken);

    // A client may ask by HEAD whether it needs to push a blob, and push a manifest that names this blob later. Until then a sweep must not
    // delete the blob.
    private static async ValueTask TouchAsync(Func<ValueTask<bool>> touch)
    {
        try
        {
            await touch();
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // A store that accepts no writes accepts no push either, so nothing needs this protection.
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "{Name} lacks {Digest}, which a client pushed: the content is missing or damaged; {Advice}")]
    private static partial void LogGone(ILogger log, string name, string digest, string advice);
}
