using System.Runtime.CompilerServices;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// Links and tags as small objects of a bucket. A bucket has no folders: what holds no object is not there, so a repository is gone with its last link.
/// </summary>
public sealed class BucketReferenceStore(S3Bucket bucket) : IReferenceStore
{
    // What makes a folder be there before anything else is in it. Whoever walks it looks for links only.
    private const string FolderMarker = ".folder";

    // How many folders are asked for at once while repositories are listed.
    private const int Ahead = 16;

    private readonly BucketPushProtection _claims = new(bucket);

    public async ValueTask<bool> ExistsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        (await bucket.FoldersAsync(RegistryLayout.Repository(name), "_", cancellationToken)).Any(IsSign);

    public ValueTask LinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        bucket.Writer.PutTextAsync(RegistryLayout.LayerLink(name, digest), digest.ToString(), cancellationToken);

    public ValueTask<bool> HasBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        ExistsAsync(RegistryLayout.LayerLink(name, digest), cancellationToken);

    public async ValueTask<bool> TouchBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        await _claims.ClaimAsync(digest, cancellationToken);
        return await HasBlobAsync(name, digest, cancellationToken);
    }

    public ValueTask<bool> UnlinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        DeleteAsync(RegistryLayout.LayerLink(name, digest), cancellationToken);

    public async ValueTask LinkManifestAsync(RepositoryName name, Digest digest, string? mediaType, CancellationToken cancellationToken)
    {
        // The type first: a linked manifest is servable at once.
        if (mediaType is not null)
            await bucket.Writer.PutTextAsync(RegistryLayout.RevisionMediaType(name, digest), mediaType, cancellationToken);
        else
            await bucket.DeleteAsync(RegistryLayout.RevisionMediaType(name, digest), cancellationToken);
        // registry:2 lists, and its garbage collector visits, only what has this folder: without it the collector would take the manifest.
        if (await bucket.IsEmptyAsync(RegistryLayout.Layers(name), cancellationToken))
            await bucket.Writer.PutTextAsync($"{RegistryLayout.Layers(name)}/{FolderMarker}", "", cancellationToken);
        await bucket.Writer.PutTextAsync(RegistryLayout.RevisionLink(name, digest), digest.ToString(), cancellationToken);
    }

    public async ValueTask<(bool Linked, string? MediaType)> FindManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var mediaType = bucket.ReadTextAsync(RegistryLayout.RevisionMediaType(name, digest), cancellationToken).AsTask();
        var linked = ExistsAsync(RegistryLayout.RevisionLink(name, digest), cancellationToken).AsTask();
        await Task.WhenAll(mediaType, linked);
        return await linked ? (true, await mediaType) : (false, null);
    }

    public async ValueTask<bool> TouchManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        await _claims.ClaimAsync(digest, cancellationToken);
        return await ExistsAsync(RegistryLayout.RevisionLink(name, digest), cancellationToken);
    }

    public ValueTask<bool> UnlinkManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        bucket.DeleteFolderAsync(RegistryLayout.Revision(name, digest), cancellationToken);

    public async ValueTask<Digest?> ResolveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        Digest.TryParse((await bucket.ReadTextAsync(RegistryLayout.TagCurrent(name, tag), cancellationToken))?.Trim(), out var digest) ? digest : null;

    public async ValueTask SetTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken)
    {
        await bucket.Writer.PutTextAsync(RegistryLayout.TagIndex(name, tag, digest), digest.ToString(), cancellationToken);
        await bucket.Writer.PutTextAsync(RegistryLayout.TagCurrent(name, tag), digest.ToString(), cancellationToken);
    }

    public ValueTask<bool> DeleteTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        bucket.DeleteFolderAsync(RegistryLayout.Tag(name, tag), cancellationToken);

    public async ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken)
    {
        var folders = await bucket.FoldersAsync(RegistryLayout.Tags(name), "", cancellationToken);
        List<string> tags = [.. folders.Select(folder => folder[..^1]).Where(Reference.IsTagName)];
        // The bucket's order is that of the names with '/' behind them.
        tags.Sort(StringComparer.Ordinal);
        return tags;
    }

    public async IAsyncEnumerable<RepositoryName> ListRepositoriesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var name in WalkAsync(RegistryLayout.Repositories, await ChildrenAsync(RegistryLayout.Repositories, cancellationToken), cancellationToken))
            if (RepositoryName.TryParse(name[(RegistryLayout.Repositories.Length + 1)..], out var repository))
                yield return repository;
    }

    // The bucket gives folders in RepositoryName's order: as if '/' ended each component.
    private async IAsyncEnumerable<string> WalkAsync(string folder, List<string> children, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var asked = new Queue<Task<List<string>>>();
        var names = children.Where(child => !child.StartsWith('_')).Select(child => $"{folder}/{child[..^1]}").ToList();
        for (var i = 0; i < names.Count; i++)
        {
            while (asked.Count < Ahead && i + asked.Count < names.Count)
                asked.Enqueue(ChildrenAsync(names[i + asked.Count], cancellationToken));
            var below = await asked.Dequeue();
            if (below.Any(IsSign))
                yield return names[i];
            await foreach (var deeper in WalkAsync(names[i], below, cancellationToken))
                yield return deeper;
        }
    }

    private Task<List<string>> ChildrenAsync(string folder, CancellationToken cancellationToken) => bucket.FoldersAsync(folder, "", cancellationToken).AsTask();

    private static bool IsSign(string folder) => folder.EndsWith('/') && RegistryLayout.SignsOfRepository.Contains(folder[..^1]);

    private async ValueTask<bool> ExistsAsync(string path, CancellationToken cancellationToken) => await bucket.SizeAsync(path, cancellationToken) is not null;

    private async ValueTask<bool> DeleteAsync(string path, CancellationToken cancellationToken)
    {
        if (!await ExistsAsync(path, cancellationToken))
            return false;
        await bucket.DeleteAsync(path, cancellationToken);
        return true;
    }
}
