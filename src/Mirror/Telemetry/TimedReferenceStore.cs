using Mirror.Storage;
using Mirror.Storage.Stores;
using static Mirror.Telemetry.StorageTimer;

namespace Mirror.Telemetry;

/// <summary>A reference store whose calls are timed. As in <c>registry:3</c>, a walk over all repositories is not.</summary>
internal sealed class TimedReferenceStore(IReferenceStore store, StorageTimer timer) : IReferenceStore
{
    public ValueTask<bool> ExistsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        timer.Measure(Stat, Now, store.ExistsAsync(name, cancellationToken));

    public ValueTask LinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(PutContent, Now, store.LinkBlobAsync(name, digest, cancellationToken));

    public ValueTask<bool> HasBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(Stat, Now, store.HasBlobAsync(name, digest, cancellationToken));

    public ValueTask<bool> TouchBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(PutContent, Now, store.TouchBlobAsync(name, digest, cancellationToken));

    public ValueTask<bool> UnlinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(Delete, Now, store.UnlinkBlobAsync(name, digest, cancellationToken));

    public ValueTask LinkManifestAsync(RepositoryName name, Digest digest, string? mediaType, CancellationToken cancellationToken) =>
        timer.Measure(PutContent, Now, store.LinkManifestAsync(name, digest, mediaType, cancellationToken));

    public ValueTask<(bool Linked, string? MediaType)> FindManifestAsync(
        RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(GetContent, Now, store.FindManifestAsync(name, digest, cancellationToken));

    public ValueTask<bool> TouchManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(PutContent, Now, store.TouchManifestAsync(name, digest, cancellationToken));

    public ValueTask<bool> UnlinkManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(Delete, Now, store.UnlinkManifestAsync(name, digest, cancellationToken));

    public ValueTask<Digest?> ResolveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        timer.Measure(GetContent, Now, store.ResolveTagAsync(name, tag, cancellationToken));

    public ValueTask SetTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken) =>
        timer.Measure(PutContent, Now, store.SetTagAsync(name, tag, digest, cancellationToken));

    public ValueTask<bool> DeleteTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        timer.Measure(Delete, Now, store.DeleteTagAsync(name, tag, cancellationToken));

    public ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        timer.Measure(List, Now, store.ListTagsAsync(name, cancellationToken));

    public ValueTask<IReadOnlyList<string>> ListTagsForClientAsync(RepositoryName name, CancellationToken cancellationToken) =>
        timer.Measure(List, Now, store.ListTagsForClientAsync(name, cancellationToken));

    public ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, Digest manifest, CancellationToken cancellationToken) =>
        timer.Measure(List, Now, store.ListTagsAsync(name, manifest, cancellationToken));

    public IAsyncEnumerable<RepositoryName> ListRepositoriesAsync(CancellationToken cancellationToken) =>
        store.ListRepositoriesAsync(cancellationToken);

    public IAsyncEnumerable<RepositoryName> ListRepositoriesAfterAsync(string after, CancellationToken cancellationToken) =>
        store.ListRepositoriesAfterAsync(after, cancellationToken);
}
