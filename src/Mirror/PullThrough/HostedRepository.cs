using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>What the hosted repositories share.</summary>
public sealed record Hosting(
    IContentStore Content, IReferenceStore References, IReferrerStore ReferrerEntries, Manifests Manifests, Referrers Referrers, Removals Removals, RepositoryLocks Locks);

/// <summary>A repository that is pushed to here. What it has not got, nobody has.</summary>
public sealed class HostedRepository(RepositoryName name, Hosting hosting) : IRepository
{
    public RepositoryName Name => name;

    public async ValueTask<Answer<Manifest>?> GetManifestAsync(Reference reference, CancellationToken cancellationToken)
    {
        if (reference.IsTag(out var tag, out var digest))
        {
            if (await hosting.References.ResolveTagAsync(name, tag, cancellationToken) is not { } named)
                return null;
            digest = named;
        }
        return await hosting.Manifests.FindAsync(name, digest, cancellationToken) is { } manifest ? new Answer<Manifest>(manifest, null) : null;
    }

    public async ValueTask<Answer<Descriptor>?> HeadManifestAsync(Reference reference, CancellationToken cancellationToken) =>
        await GetManifestAsync(reference, cancellationToken) is { } answer ? new Answer<Descriptor>(answer.Value.Descriptor, null) : null;

    public async ValueTask<Answer<Content>?> OpenBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        await hosting.References.HasBlobAsync(name, digest, cancellationToken) && await hosting.Content.OpenAsync(digest, cancellationToken) is { } stored
            ? new Answer<Content>(stored, null)
            : null;

    public async ValueTask<Answer<long?>?> HeadBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        await hosting.References.HasBlobAsync(name, digest, cancellationToken) && await hosting.Content.SizeAsync(digest, cancellationToken) is { } size
            ? new Answer<long?>(size, null)
            : null;

    public async ValueTask<Answer<TagPage>?> ListTagsAsync(int? count, string? last, CancellationToken cancellationToken) =>
        await StoredTags.PageAsync(hosting.References, name, count, last, cancellationToken) is { } page ? new Answer<TagPage>(page, null) : null;

    public async ValueTask<Answer<ReferrerPage>> ListReferrersAsync(Digest subject, string? artifactType, Digest? last, CancellationToken cancellationToken) =>
        new(await hosting.Referrers.PageAsync(name, subject, artifactType, last, cancellationToken), null);

    public async ValueTask<bool> DeleteManifestAsync(Digest digest, CancellationToken cancellationToken) =>
        await hosting.Removals.RemoveManifestAsync(name, digest, cancellationToken) is not null;

    public ValueTask<bool> DeleteTagAsync(string tag, CancellationToken cancellationToken) => hosting.Removals.RemoveTagAsync(name, tag, cancellationToken);

    public ValueTask<bool> DeleteBlobAsync(Digest digest, CancellationToken cancellationToken) => hosting.Removals.RemoveBlobAsync(name, digest, cancellationToken);

    /// <summary>Lets the repository serve a blob that is stored.</summary>
    public async ValueTask LinkBlobAsync(Digest digest, CancellationToken cancellationToken)
    {
        using var turn = await hosting.Locks.EnterAsync(name, cancellationToken);
        await hosting.References.LinkBlobAsync(name, digest, cancellationToken);
    }

    /// <summary>
    /// Stores a manifest, enters it under its subject, and makes tags name it. Once this returns all of it survives a power cut; what it needs
    /// was in the repository at that moment.
    /// </summary>
    /// <param name="blobs">Blobs that it needs.</param>
    /// <param name="children">Manifests that it needs.</param>
    /// <returns>Null where it is stored; else what it needs and the repository has not, and nothing is changed.</returns>
    public async ValueTask<Digest?> PutManifestAsync(
        Manifest manifest, ManifestDocument document, IEnumerable<Digest> blobs, IEnumerable<Digest> children, IReadOnlyList<string> tags, CancellationToken cancellationToken)
    {
        using var turn = await hosting.Locks.EnterAsync(name, cancellationToken);

        // 1. What it needs.
        foreach (var blob in blobs.Distinct())
            if (await HeadBlobAsync(blob, cancellationToken) is null)
                return blob;
        foreach (var child in children.Distinct())
            if (await HeadManifestAsync(child, cancellationToken) is null)
                return child;

        // 2. Its entry under its subject, before it can be found: none that can be is ever missing there. Then itself.
        if (document.Subject is { } subject)
            await hosting.ReferrerEntries.AddAsync(name, subject, manifest.Descriptor.Digest, document.DescriptorAsReferrer(manifest.Descriptor), cancellationToken);
        await hosting.Manifests.PutAsync(name, manifest, cancellationToken);

        // 3. The tags, which from here on name something that is there.
        foreach (var tag in tags)
            await hosting.References.SetTagAsync(name, tag, manifest.Descriptor.Digest, cancellationToken);
        return null;
    }
}
