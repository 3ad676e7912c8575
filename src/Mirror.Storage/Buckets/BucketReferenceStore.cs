using System.Runtime.CompilerServices;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// Links and tags as small objects of a bucket. A bucket has no folders, so a repository disappears with its last object.
/// </summary>
public sealed class BucketReferenceStore(IBucket bucket, TimeProvider time) : IReferenceStore
{
    // An object that makes an empty folder exist. registry:2 ignores it: it looks for links only.
    private const string FolderMarker = ".folder";

    // How many folders are listed at once while repositories are enumerated.
    private const int MaxListsAtOnce = 16;

    private readonly BucketPushProtection _claims = new(bucket, time);

    public async ValueTask<bool> ExistsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        (await bucket.ListFoldersAsync(RegistryLayout.Repository(name), "_", cancellationToken)).Any(IsRepositorySubfolder);

    public ValueTask LinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        bucket.PutTextAsync(RegistryLayout.LayerLink(name, digest), digest.ToString(), cancellationToken);

    public ValueTask<bool> HasBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        bucket.ExistsAsync(RegistryLayout.LayerLink(name, digest), cancellationToken);

    public async ValueTask<bool> TouchBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        await _claims.ClaimAsync(digest, cancellationToken);
        return await HasBlobAsync(name, digest, cancellationToken);
    }

    public ValueTask<bool> UnlinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        bucket.TryDeleteAsync(RegistryLayout.LayerLink(name, digest), cancellationToken);

    public async ValueTask LinkManifestAsync(RepositoryName name, Digest digest, string? mediaType, CancellationToken cancellationToken)
    {
        // The type first, because clients can get a manifest as soon as it is linked.
        if (mediaType is not null)
            await bucket.PutTextAsync(RegistryLayout.RevisionMediaType(name, digest), mediaType, cancellationToken);
        else
            await bucket.DeleteAsync(RegistryLayout.RevisionMediaType(name, digest), cancellationToken);
        // registry:2 lists only repositories that have this folder, and its garbage collector would delete the manifests of all others.
        if (await bucket.IsEmptyAsync(RegistryLayout.Layers(name), cancellationToken))
            await bucket.PutTextAsync($"{RegistryLayout.Layers(name)}/{FolderMarker}", "", cancellationToken);
        await bucket.PutTextAsync(RegistryLayout.RevisionLink(name, digest), digest.ToString(), cancellationToken);
    }

    public async ValueTask<(bool Linked, string? MediaType)> FindManifestAsync(
        RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var mediaType = bucket.ReadTextAsync(RegistryLayout.RevisionMediaType(name, digest), cancellationToken).AsTask();
        var linked = bucket.ExistsAsync(RegistryLayout.RevisionLink(name, digest), cancellationToken).AsTask();
        await Task.WhenAll(mediaType, linked);
        return await linked ? (true, await mediaType) : (false, null);
    }

    public async ValueTask<bool> TouchManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        await _claims.ClaimAsync(digest, cancellationToken);
        return await bucket.ExistsAsync(RegistryLayout.RevisionLink(name, digest), cancellationToken);
    }

    public ValueTask<bool> UnlinkManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        bucket.DeleteFolderAsync(RegistryLayout.Revision(name, digest), RegistryLayout.RevisionLink(name, digest), cancellationToken);

    public async ValueTask<Digest?> ResolveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        await bucket.ReadTextAsync(RegistryLayout.TagCurrent(name, tag), cancellationToken) is { } text
            && Digest.TryParse(text.Trim(), out var digest) ? digest : null;

    public async ValueTask SetTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken)
    {
        await bucket.PutTextAsync(RegistryLayout.TagIndex(name, tag, digest), digest.ToString(), cancellationToken);
        await bucket.PutTextAsync(RegistryLayout.TagCurrent(name, tag), digest.ToString(), cancellationToken);
    }

    public ValueTask<bool> DeleteTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        bucket.DeleteFolderAsync(RegistryLayout.Tag(name, tag), RegistryLayout.TagCurrent(name, tag), cancellationToken);

    public async ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken)
    {
        var tags = await bucket.ListFoldersAsync(RegistryLayout.Tags(name), "", cancellationToken);
        tags.RemoveAll(tag => !Reference.IsTagName(tag));
        // The bucket orders them as if a '/' ended each.
        tags.Sort(StringComparer.Ordinal);
        return tags;
    }

    public async ValueTask<IReadOnlyList<string>> ListTagsAsync(
        RepositoryName name, Digest manifest, CancellationToken cancellationToken)
    {
        // The index of a tag has a link for each manifest that the tag has named. A tag without an index may name any manifest.
        HashSet<string> tags = [], indexed = [], naming = [];
        var folder = RegistryLayout.Tags(name);
        await foreach (var (path, _, _) in bucket.ListFolderAsync(folder, cancellationToken))
            if (path[(folder.Length + 1)..].Split('/') is [var tag, var kind, ..] && Reference.IsTagName(tag))
            {
                (kind == "index" ? indexed : tags).Add(tag);
                if (path == RegistryLayout.TagIndex(name, tag, manifest))
                    naming.Add(tag);
            }
        return [.. tags.Except(indexed).Union(naming).Order(StringComparer.Ordinal)];
    }

    public async IAsyncEnumerable<RepositoryName> ListRepositoriesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var top = await ChildrenAsync(RegistryLayout.Repositories, cancellationToken);
        await foreach (var name in WalkAsync(RegistryLayout.Repositories, top, cancellationToken))
            if (RepositoryName.TryParse(name[(RegistryLayout.Repositories.Length + 1)..], out var repository))
                yield return repository;
    }

    private async IAsyncEnumerable<string> WalkAsync(
        string folder, List<string> children, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The bucket gives folders as if a '/' ended each of them.
        string[] names =
            [.. children.Where(child => !child.StartsWith('_')).Select(child => $"{folder}/{child}").Order(StringComparer.Ordinal)];
        var asked = new Queue<Task<List<string>>>();
        var below = new Dictionary<string, List<string>>();
        var next = 0;
        foreach (var (name, isBelow) in LexicalWalk.Steps(names))
            if (isBelow)
            {
                below.Remove(name, out var listed);
                await foreach (var deeper in WalkAsync(name, listed!, cancellationToken))
                    yield return deeper;
            }
            else
            {
                while (asked.Count < MaxListsAtOnce && next < names.Length)
                    asked.Enqueue(ChildrenAsync(names[next++], cancellationToken));
                below[name] = await asked.Dequeue();
                if (below[name].Any(IsRepositorySubfolder))
                    yield return name;
            }
    }

    private Task<List<string>> ChildrenAsync(string folder, CancellationToken cancellationToken) =>
        bucket.ListFoldersAsync(folder, "", cancellationToken).AsTask();

    private static bool IsRepositorySubfolder(string folder) => RegistryLayout.RepositorySubfolders.Contains(folder);
}
