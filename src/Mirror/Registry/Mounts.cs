using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Registry;

/// <summary>Which blobs a client may have without sending them: those it could read here (OCI distribution-spec 1.1.1, "Mounting a blob from another repository").</summary>
public sealed class Mounts(RepositoryResolver repositories, IContentStore content, IReferenceStore references)
{
    /// <summary>
    /// Whether the blob is stored, in the repository that <c>from</c> names, or in any where there is none. A mirrored repository lends only what it
    /// has: nothing is fetched for a mount.
    /// </summary>
    public async ValueTask<bool> MayMountAsync(RegistryRequest request, Digest digest)
    {
        RepositoryName? from = request.Http.Request.Query["from"] is { Count: > 0 } named
            ? RepositoryName.TryParse(named, out var name) ? name : throw new RegistryException(RegistryError.NameInvalid, "'from' is not the name of a repository")
            : null;
        if (await content.SizeAsync(digest, request.Aborted) is null)
            return false;
        if (from is { } source)
            return await MayReadAsync(request, repositories[source].Name, digest);
        await foreach (var any in references.ListRepositoriesAsync(request.Aborted))
            if (await MayReadAsync(request, any, digest))
                return true;
        return false;
    }

    // The one place that decides. Everybody may read everything so far.
    private ValueTask<bool> MayReadAsync(RegistryRequest request, RepositoryName name, Digest digest) => references.HasBlobAsync(name, digest, request.Aborted);
}
