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

    public async ValueTask<Answer<Descriptor>?> HeadManifestAsync(Reference reference, CancellationToken cancellationToken) =>
        await GetManifestAsync(reference, cancellationToken) is { } answer ? new Answer<Descriptor>(answer.Value.Descriptor, null) : null;

    public async ValueTask<Answer<Content>?> OpenBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        await references.HasBlobAsync(name, digest, cancellationToken) && await content.OpenAsync(digest, cancellationToken) is { } stored
            ? new Answer<Content>(stored, null)
            : null;

    public async ValueTask<Answer<long?>?> HeadBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        await references.HasBlobAsync(name, digest, cancellationToken) && await content.SizeAsync(digest, cancellationToken) is { } size
            ? new Answer<long?>(size, null)
            : null;

    public async ValueTask<Answer<TagPage>?> ListTagsAsync(int? count, string? last, CancellationToken cancellationToken) =>
        await StoredTags.PageAsync(references, name, count, last, cancellationToken) is { } page ? new Answer<TagPage>(page, null) : null;
}
