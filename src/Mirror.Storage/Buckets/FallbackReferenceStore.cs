using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// A bucket's names, of which those that were seen are remembered in local files. They are used only while the bucket gives no answer, and are
/// then the answer that it gave last: what was never seen, or seen not to be there, remains unknown.
/// </summary>
/// <param name="memory">Nothing breaks where this takes nothing in; what it cannot forget, though, is not taken out of the bucket either.</param>
public sealed class FallbackReferenceStore(IReferenceStore bucket, IReferenceStore memory) : IReferenceStore
{
    private int _removals;

    public ValueTask<bool> ExistsAsync(RepositoryName name, CancellationToken cancellationToken) => bucket.ExistsAsync(name, cancellationToken);

    public async ValueTask LinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        await bucket.LinkBlobAsync(name, digest, cancellationToken);
        await RememberAsync(() => memory.LinkBlobAsync(name, digest, cancellationToken));
    }

    public ValueTask<bool> HasBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) => AskAsync(
        () => bucket.HasBlobAsync(name, digest, cancellationToken),
        () => memory.HasBlobAsync(name, digest, cancellationToken),
        has => has,
        _ => memory.LinkBlobAsync(name, digest, cancellationToken),
        () => memory.UnlinkBlobAsync(name, digest, cancellationToken));

    public ValueTask<bool> TouchBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        bucket.TouchBlobAsync(name, digest, cancellationToken);

    public ValueTask<bool> UnlinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        RemoveAsync(() => bucket.UnlinkBlobAsync(name, digest, cancellationToken), () => memory.UnlinkBlobAsync(name, digest, cancellationToken));

    public async ValueTask LinkManifestAsync(RepositoryName name, Digest digest, string? mediaType, CancellationToken cancellationToken)
    {
        await bucket.LinkManifestAsync(name, digest, mediaType, cancellationToken);
        await RememberAsync(() => memory.LinkManifestAsync(name, digest, mediaType, cancellationToken));
    }

    public ValueTask<(bool Linked, string? MediaType)> FindManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) => AskAsync(
        () => bucket.FindManifestAsync(name, digest, cancellationToken),
        () => memory.FindManifestAsync(name, digest, cancellationToken),
        found => found.Linked,
        async found =>
        {
            if (await memory.FindManifestAsync(name, digest, cancellationToken) != found)
                await memory.LinkManifestAsync(name, digest, found.MediaType, cancellationToken);
        },
        () => memory.UnlinkManifestAsync(name, digest, cancellationToken));

    public ValueTask<bool> TouchManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        bucket.TouchManifestAsync(name, digest, cancellationToken);

    public ValueTask<bool> UnlinkManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        RemoveAsync(() => bucket.UnlinkManifestAsync(name, digest, cancellationToken), () => memory.UnlinkManifestAsync(name, digest, cancellationToken));

    public ValueTask<Digest?> ResolveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) => AskAsync(
        () => bucket.ResolveTagAsync(name, tag, cancellationToken),
        () => memory.ResolveTagAsync(name, tag, cancellationToken),
        named => named is not null,
        async named =>
        {
            if (await memory.ResolveTagAsync(name, tag, cancellationToken) != named)
                await memory.SetTagAsync(name, tag, named!.Value, cancellationToken);
        },
        () => memory.DeleteTagAsync(name, tag, cancellationToken));

    public async ValueTask SetTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken)
    {
        await bucket.SetTagAsync(name, tag, digest, cancellationToken);
        await RememberAsync(() => memory.SetTagAsync(name, tag, digest, cancellationToken));
    }

    public ValueTask<bool> DeleteTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        RemoveAsync(() => bucket.DeleteTagAsync(name, tag, cancellationToken), () => memory.DeleteTagAsync(name, tag, cancellationToken));

    public ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken) => bucket.ListTagsAsync(name, cancellationToken);

    public IAsyncEnumerable<RepositoryName> ListRepositoriesAsync(CancellationToken cancellationToken) => bucket.ListRepositoriesAsync(cancellationToken);

    private async ValueTask<T> AskAsync<T>(Func<ValueTask<T>> ask, Func<ValueTask<T>> recall, Func<T, bool> isThere, Func<T, ValueTask> remember, Func<ValueTask<bool>> forget)
    {
        var removals = Volatile.Read(ref _removals);
        T answer;
        try
        {
            answer = await ask();
        }
        catch (StoreUnavailableException)
        {
            if (await recall() is var last && isThere(last))
                return last;
            throw;
        }
        await RememberAsync(async () =>
        {
            if (isThere(answer))
                await remember(answer);
            // What was removed while it was asked for is not to be remembered.
            if (!isThere(answer) || removals != Volatile.Read(ref _removals))
                await forget();
        });
        return answer;
    }

    // Forgotten first, since whatever becomes of the rest it was not to be served any more; and again, since somebody may have asked in between.
    private async ValueTask<bool> RemoveAsync(Func<ValueTask<bool>> remove, Func<ValueTask<bool>> forget)
    {
        Interlocked.Increment(ref _removals);
        await forget();
        var removed = await remove();
        Interlocked.Increment(ref _removals);
        await forget();
        return removed;
    }

    private static async ValueTask RememberAsync(Func<ValueTask> remember)
    {
        try
        {
            await remember();
        }
        catch (Exception full) when (full.IsStoreFailure)
        {
            // A full disk: the bucket has it.
        }
    }
}
