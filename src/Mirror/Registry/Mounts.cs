using Mirror.Access;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Registry;

/// <summary>
/// Which blobs a client may add to a repository without sending them: those that it may read in another one (OCI distribution-spec 1.1.1,
/// "Mounting a blob from another repository").
/// </summary>
public sealed class Mounts(
    RepositoryResolver repositories, IContentStore content, IReferenceStore references, IAccess access, PrivateReads privates,
    RepositoryWalks walks, TimeProvider time)
{
    // In a bucket, one request asks whether one repository has the blob. A client that waits longer could have sent the blob meanwhile.
    private static readonly TimeSpan MaxSearch = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Whether the blob is stored in a repository that the user may pull from: the one that <c>from</c> names, or any if there is no
    /// <c>from</c>. False as well if <c>from</c> is no name, such as that of a repository of another registry, or if such a search takes
    /// too long: then the client sends the blob. Nothing is fetched from upstream for a mount.
    /// </summary>
    public async ValueTask<bool> IsAllowedAsync(RegistryRequest request, Digest digest)
    {
        RepositoryName? from = null;
        if (Paging.Value(request.Http.Request.Query, "from") is { } given)
        {
            if (!RepositoryName.TryParse(given, out var name))
                return false;
            from = name;
        }
        if (await content.SizeAsync(digest, request.Aborted) is null)
            return false;
        // The registry that the client names has this name too.
        if (from is { } source)
            return repositories.Find(request.Namespace, source) is { } repository
                && await HasForClientAsync(request, repository.Name, digest, request.Aborted)
                && await privates.MayReadAsync(request, repository.Name);

        using var limit = new CancellationTokenSource(MaxSearch, time);
        using var search = CancellationTokenSource.CreateLinkedTokenSource(request.Aborted, limit.Token);
        try
        {
            return await IsAnywhereAsync(request, digest, search.Token);
        }
        catch (OperationCanceledException) when (!request.Aborted.IsCancellationRequested)
        {
            return false;
        }
    }

    private async ValueTask<bool> IsAnywhereAsync(RegistryRequest request, Digest digest, CancellationToken cancellationToken)
    {
        List<RepositoryName> ofUpstream = [];
        using (await walks.EnterAsync(cancellationToken))
            await foreach (var any in references.ListRepositoriesAfterAsync("", cancellationToken))
                if (await HasForClientAsync(request, any, digest, cancellationToken))
                {
                    if (!privates.AsksUpstream(any))
                        return true;
                    ofUpstream.Add(any);
                }
        // Upstream is asked after the turn has ended: other clients do not wait for an upstream that answers slowly.
        foreach (var candidate in ofUpstream)
            if (await privates.MayReadAsync(request, candidate).AsTask().WaitAsync(cancellationToken))
                return true;
        return false;
    }

    // Whether the repository has the blob and this server's own rules let the user pull it.
    private async ValueTask<bool> HasForClientAsync(
        RegistryRequest request, RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        repositories[name] is not MirroredRepository { Denied: not null }
        && await references.HasBlobAsync(name, digest, cancellationToken)
        && await access.AuthorizeAsync(request.User, name, AccessAction.Pull, cancellationToken);
}
