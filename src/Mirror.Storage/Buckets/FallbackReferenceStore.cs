using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// The links and tags of a bucket, with local copies of those that were read or written. While the bucket is away, a copy is the answer,
/// because it is the bucket's last answer. Without a copy it is unknown whether a link or tag exists, so the bucket's exception is passed
/// on.
/// </summary>
/// <param name="local"> The copies. If a copy cannot be written, the bucket's answer still holds. If it cannot be deleted, the bucket is
/// not changed either. </param>
public sealed class FallbackReferenceStore(IReferenceStore bucket, IReferenceStore local) : IReferenceStore
{
    private int _deletions;

    public ValueTask<bool> ExistsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        bucket.ExistsAsync(name, cancellationToken);

    public async ValueTask LinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        await bucket.LinkBlobAsync(name, digest, cancellationToken);
        await CopyAsync(() => local.LinkBlobAsync(name, digest, cancellationToken));
    }

    public ValueTask<bool> HasBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) => ReadAsync(
        store => store.HasBlobAsync(name, digest, cancellationToken),
        has => has,
        _ => local.LinkBlobAsync(name, digest, cancellationToken),
        () => local.UnlinkBlobAsync(name, digest, cancellationToken));

    public ValueTask<bool> TouchBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        bucket.TouchBlobAsync(name, digest, cancellationToken);

    public ValueTask<bool> UnlinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        DeleteAsync(store => store.UnlinkBlobAsync(name, digest, cancellationToken));

    public async ValueTask LinkManifestAsync(RepositoryName name, Digest digest, string? mediaType, CancellationToken cancellationToken)
    {
        await bucket.LinkManifestAsync(name, digest, mediaType, cancellationToken);
        await CopyAsync(() => local.LinkManifestAsync(name, digest, mediaType, cancellationToken));
    }

    public ValueTask<(bool Linked, string? MediaType)> FindManifestAsync(
        RepositoryName name, Digest digest, CancellationToken cancellationToken) => ReadAsync(
        store => store.FindManifestAsync(name, digest, cancellationToken),
        found => found.Linked,
        async found =>
        {
            if (await local.FindManifestAsync(name, digest, cancellationToken) != found)
                await local.LinkManifestAsync(name, digest, found.MediaType, cancellationToken);
        },
        () => local.UnlinkManifestAsync(name, digest, cancellationToken));

    public ValueTask<bool> TouchManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        bucket.TouchManifestAsync(name, digest, cancellationToken);

    public ValueTask<bool> UnlinkManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        DeleteAsync(store => store.UnlinkManifestAsync(name, digest, cancellationToken));

    public ValueTask<Digest?> ResolveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) => ReadAsync(
        store => store.ResolveTagAsync(name, tag, cancellationToken),
        digest => digest is not null,
        async digest =>
        {
            if (await local.ResolveTagAsync(name, tag, cancellationToken) != digest)
                await local.SetTagAsync(name, tag, digest!.Value, cancellationToken);
        },
        () => local.DeleteTagAsync(name, tag, cancellationToken));

    public async ValueTask SetTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken)
    {
        await bucket.SetTagAsync(name, tag, digest, cancellationToken);
        await CopyAsync(() => local.SetTagAsync(name, tag, digest, cancellationToken));
    }

    public ValueTask<bool> DeleteTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        DeleteAsync(store => store.DeleteTagAsync(name, tag, cancellationToken));

    public ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        bucket.ListTagsAsync(name, cancellationToken);

    public ValueTask<IReadOnlyList<string>> ListTagsForClientAsync(RepositoryName name, CancellationToken cancellationToken) =>
        bucket.ListTagsForClientAsync(name, cancellationToken);

    public ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, Digest manifest, CancellationToken cancellationToken) =>
        bucket.ListTagsAsync(name, manifest, cancellationToken);

    public IAsyncEnumerable<RepositoryName> ListRepositoriesAsync(CancellationToken cancellationToken) =>
        bucket.ListRepositoriesAsync(cancellationToken);

    public IAsyncEnumerable<RepositoryName> ListRepositoriesAfterAsync(string after, CancellationToken cancellationToken) =>
        bucket.ListRepositoriesAfterAsync(after, cancellationToken);

    private async ValueTask<T> ReadAsync<T>(
        Func<IReferenceStore, ValueTask<T>> read, Func<T, bool> exists, Func<T, ValueTask> copy, Func<ValueTask<bool>> deleteCopy)
    {
        var deletions = Volatile.Read(ref _deletions);
        T answer;
        try
        {
            answer = await read(bucket);
        }
        catch (StoreUnavailableException)
        {
            if (await read(local) is var last && exists(last))
                return last;
            throw;
        }
        await CopyAsync(async () =>
        {
            if (exists(answer))
                await copy(answer);
            // A delete during the read may have made the copy wrong.
            if (!exists(answer) || deletions != Volatile.Read(ref _deletions))
                await deleteCopy();
        });
        return answer;
    }

    // Deletes the copy first, so that it is never served again, even if the bucket is away. And again afterwards, in case a concurrent read
    // wrote it.
    private async ValueTask<bool> DeleteAsync(Func<IReferenceStore, ValueTask<bool>> delete)
    {
        Interlocked.Increment(ref _deletions);
        await delete(local);
        var deleted = await delete(bucket);
        Interlocked.Increment(ref _deletions);
        await delete(local);
        return deleted;
    }

    private static async ValueTask CopyAsync(Func<ValueTask> copy)
    {
        try
        {
            await copy();
        }
        catch (Exception full) when (full.IsStoreFailure)
        {
            // The local disk is full. The bucket has the original.
        }
    }
}
