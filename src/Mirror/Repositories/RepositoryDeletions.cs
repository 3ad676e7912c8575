using System.Collections.Concurrent;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>Deletes manifests, tags and blobs from a repository. A garbage collection deletes their content later.</summary>
public sealed class RepositoryDeletions(
    IReferenceStore references, IReferrerStore referrers, IProvenanceStore provenance, ManifestCache manifests, RepositoryLocks locks,
    KnownBlobs known, StorageOptions storage)
{
    private readonly int _tagsAtOnce = storage.Tag.ConcurrencyLimit is > 0 and var limit ? limit : Environment.ProcessorCount;

    /// <summary>Deletes a manifest and every tag that names it.</summary>
    /// <returns>The deleted tags; null where the repository does not have the manifest.</returns>
    public async ValueTask<IReadOnlyList<string>?> RemoveManifestAsync(
        RepositoryName name, Digest digest, Action<Digest?>? condition, CancellationToken cancellationToken)
    {
        using var turn = await locks.EnterAsync(name, cancellationToken);
        if (!(await references.FindManifestAsync(name, digest, cancellationToken)).Linked)
            return null;
        condition?.Invoke(digest);

        // 1. Delete the tags first, so that no tag names a missing manifest.
        ConcurrentBag<string> deleted = [];
        await DeleteTagsAsync();

        // 2. Delete the manifest.
        var bytes = await manifests.ReadAsync(digest, cancellationToken);
        var subject = ManifestDocument.Read(bytes)?.Subject;
        await provenance.ForgetAsync(name, digest, Provenance.Copied, cancellationToken);
        await manifests.RemoveAsync(name, digest, cancellationToken);
        await provenance.ForgetAsync(name, digest, Provenance.Pushed, cancellationToken);

        // 3. Delete its entry under its subject.
        if (subject is { } referred)
            await referrers.RemoveAsync(name, referred, digest, cancellationToken);

        // 4. Repeat step 1: between steps 1 and 2 another replica may have acknowledged a push of the manifest with a new tag. A push that
        // ends later sees that the link is gone. After a push that has linked the manifest again, the tags stay.
        await DeleteTagsAsync(unless: async stop => (await references.FindManifestAsync(name, digest, stop)).Linked);
        return [.. deleted.Order(StringComparer.Ordinal)];

        async Task DeleteTagsAsync(Func<CancellationToken, ValueTask<bool>>? unless = null) => await Parallel.ForEachAsync(
            await references.ListTagsAsync(name, digest, cancellationToken),
            new ParallelOptions { MaxDegreeOfParallelism = _tagsAtOnce, CancellationToken = cancellationToken },
            async (tag, stop) =>
            {
                if (await references.ResolveTagAsync(name, tag, stop) == digest && !(unless is not null && await unless(stop))
                    && await references.DeleteTagAsync(name, tag, stop))
                    deleted.Add(tag);
            });
    }

    /// <summary>Deletes a tag; false where there was none.</summary>
    public async ValueTask<bool> RemoveTagAsync(
        RepositoryName name, string tag, Action<Digest?>? condition, CancellationToken cancellationToken)
    {
        using var turn = await locks.EnterAsync(name, cancellationToken);
        if (condition is not null && await references.ResolveTagAsync(name, tag, cancellationToken) is { } named)
            condition(named);
        return await references.DeleteTagAsync(name, tag, cancellationToken);
    }

    /// <summary>Deletes a blob from the repository; false where there was none.</summary>
    public async ValueTask<bool> RemoveBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        using var turn = await locks.EnterAsync(name, cancellationToken);
        await provenance.ForgetAsync(name, digest, Provenance.Copied, cancellationToken);
        var removed = await references.UnlinkBlobAsync(name, digest, cancellationToken);
        await known.RemovedAsync(name, digest);
        await provenance.ForgetAsync(name, digest, Provenance.Pushed, cancellationToken);
        return removed;
    }
}
