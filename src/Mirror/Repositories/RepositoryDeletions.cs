using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>Takes names out of a repository: pushed ones for good, mirrored ones until they are asked for again. Content stays until it is collected.</summary>
public sealed class RepositoryDeletions(IReferenceStore references, IReferrerStore referrers, ManifestCache manifests, RepositoryLocks locks)
{
    /// <summary>Takes a manifest out, with every tag that names it; they are returned. Null where the repository has none.</summary>
    public async ValueTask<IReadOnlyList<string>?> RemoveManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        using var turn = await locks.EnterAsync(name, cancellationToken);
        if (!(await references.FindManifestAsync(name, digest, cancellationToken)).Linked)
            return null;

        // 1. The tags, so that none ever names what is not there.
        List<string> tags = [];
        foreach (var tag in await references.ListTagsAsync(name, cancellationToken))
            if (await references.ResolveTagAsync(name, tag, cancellationToken) == digest && await references.DeleteTagAsync(name, tag, cancellationToken))
                tags.Add(tag);

        // 2. The manifest.
        var subject = await manifests.ReadAsync(digest, cancellationToken) is { } bytes && ManifestDocument.TryParse(bytes, out var document, out _) ? document.Subject : null;
        await manifests.RemoveAsync(name, digest, cancellationToken);

        // 3. Its entry under its subject, which no longer counts.
        if (subject is { } referred)
            await referrers.RemoveAsync(name, referred, digest, cancellationToken);
        return tags;
    }

    /// <summary>Takes a tag out; false where there was none.</summary>
    public async ValueTask<bool> RemoveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        using var turn = await locks.EnterAsync(name, cancellationToken);
        return await references.DeleteTagAsync(name, tag, cancellationToken);
    }

    /// <summary>Takes a blob out; false where there was none.</summary>
    public async ValueTask<bool> RemoveBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        using var turn = await locks.EnterAsync(name, cancellationToken);
        return await references.UnlinkBlobAsync(name, digest, cancellationToken);
    }
}
