using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>A repository that is pushed to here. What it has not got, nobody has.</summary>
public sealed class HostedRepository(RepositoryName name, IContentStore content, IReferenceStore references, Manifests manifests) : IRepository
{
    public RepositoryName Name => name;

    public async ValueTask<Answer<Manifest>?> GetManifestAsync(Reference reference, CancellationToken cancellationToken)
    {
        if (reference.IsTag(out var tag, out var digest))
        {
            if (await references.ResolveTagAsync(name, tag, cancellationToken) is not { } named)
                return null;
            digest = named;
        }
        return await manifests.FindAsync(name, digest, cancellationToken) is { } manifest ? new Answer<Manifest>(manifest, null) : null;
    }

    public async ValueTask<Answer<Descriptor>?> HeadManifestAsync(Reference reference, CancellationToken cancellationToken)
    {
        if (await GetManifestAsync(reference, cancellationToken) is not { } answer)
            return null;
        await RenewAsync(references.RenewManifestAsync(name, answer.Value.Descriptor.Digest, cancellationToken));
        return new Answer<Descriptor>(answer.Value.Descriptor, null);
    }

    public async ValueTask<Answer<Content>?> OpenBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        await references.HasBlobAsync(name, digest, cancellationToken) && await content.OpenAsync(digest, cancellationToken) is { } stored
            ? new Answer<Content>(stored, null)
            : null;

    public async ValueTask<Answer<long?>?> HeadBlobAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (!await references.HasBlobAsync(name, digest, cancellationToken) || await content.SizeAsync(digest, cancellationToken) is not { } size)
            return null;
        await RenewAsync(references.RenewBlobAsync(name, digest, cancellationToken));
        await RenewAsync(content.RenewAsync(digest, cancellationToken));
        return new Answer<long?>(size, null);
    }

    public async ValueTask<Answer<TagPage>?> ListTagsAsync(int? count, string? last, CancellationToken cancellationToken) =>
        await StoredTags.PageAsync(references, name, count, last, cancellationToken) is { } page ? new Answer<TagPage>(page, null) : null;

    // A push asks what it need not send, and names it later: until then it must not be swept.
    private static async ValueTask RenewAsync(ValueTask<bool> renewal)
    {
        try
        {
            await renewal;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // A store that may only be read answers all the same; nothing is pushed to it.
        }
    }
}
