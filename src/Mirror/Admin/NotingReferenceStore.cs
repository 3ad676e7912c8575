using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Admin;

/// <summary>A reference store that notes which repositories change. Reads pass through it.</summary>
public sealed class NotingReferenceStore(IReferenceStore store, ChangedRepositories changed) : IReferenceStore
{
    public ValueTask<bool> ExistsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        store.ExistsAsync(name, cancellationToken);

    public IAsyncEnumerable<RepositoryName> ListRepositoriesAsync(CancellationToken cancellationToken) =>
        store.ListRepositoriesAsync(cancellationToken);

    public IAsyncEnumerable<RepositoryName> ListRepositoriesAfterAsync(string after, CancellationToken cancellationToken) =>
        store.ListRepositoriesAfterAsync(after, cancellationToken);

    public async ValueTask LinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        await store.LinkBlobAsync(name, digest, cancellationToken);
        changed.Note(name);
    }

    public ValueTask<bool> HasBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        store.HasBlobAsync(name, digest, cancellationToken);

    public ValueTask<bool> TouchBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        store.TouchBlobAsync(name, digest, cancellationToken);

    public async ValueTask<bool> UnlinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var had = await store.UnlinkBlobAsync(name, digest, cancellationToken);
        changed.Note(name);
        return had;
    }

    public async ValueTask LinkManifestAsync(RepositoryName name, Digest digest, string? mediaType, CancellationToken cancellationToken)
    {
        await store.LinkManifestAsync(name, digest, mediaType, cancellationToken);
        changed.Note(name);
    }

    public ValueTask<(bool Linked, string? MediaType)> FindManifestAsync(
        RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        store.FindManifestAsync(name, digest, cancellationToken);

    public ValueTask<bool> TouchManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        store.TouchManifestAsync(name, digest, cancellationToken);

    public async ValueTask<bool> UnlinkManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var had = await store.UnlinkManifestAsync(name, digest, cancellationToken);
        changed.Note(name);
        return had;
    }

    public ValueTask<Digest?> ResolveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        store.ResolveTagAsync(name, tag, cancellationToken);

    public async ValueTask SetTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken)
    {
        await store.SetTagAsync(name, tag, digest, cancellationToken);
        changed.NoteTag(name, tag, digest);
    }

    public async ValueTask<bool> DeleteTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        var had = await store.DeleteTagAsync(name, tag, cancellationToken);
        changed.Note(name);
        return had;
    }

    public ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        store.ListTagsAsync(name, cancellationToken);

    public ValueTask<IReadOnlyList<string>> ListTagsForClientAsync(RepositoryName name, CancellationToken cancellationToken) =>
        store.ListTagsForClientAsync(name, cancellationToken);

    public ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, Digest manifest, CancellationToken cancellationToken) =>
        store.ListTagsAsync(name, manifest, cancellationToken);
}
