using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>A repository of an upstream. What is stored is served; what is missing is fetched once, whoever asks.</summary>
public sealed class MirroredRepository(RepositoryName name, Mirroring mirroring) : IRepository
{
    public RepositoryName Name => name;

    public ValueTask<Answer<Manifest>?> GetManifestAsync(Reference reference, CancellationToken cancellationToken) =>
        OrNo(mirroring.Manifests.GetAsync(name, reference, cancellationToken));

    public ValueTask<Answer<Descriptor>?> HeadManifestAsync(Reference reference, CancellationToken cancellationToken) =>
        OrNo(mirroring.Manifests.HeadAsync(name, reference, cancellationToken));

    public ValueTask<Answer<Content>?> OpenBlobAsync(Digest digest, bool here, CancellationToken cancellationToken) =>
        OrNo(mirroring.Blobs.OpenAsync(name, digest, here, cancellationToken));

    public ValueTask<Answer<long?>?> HeadBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        OrNo(mirroring.Blobs.HeadAsync(name, digest, cancellationToken));

    public async ValueTask<Answer<TagPage>?> ListTagsAsync(int? count, string? last, CancellationToken cancellationToken)
    {
        try
        {
            return new Answer<TagPage>(await mirroring.Upstream.ListTagsAsync(name, count, last, cancellationToken), Outcome.Miss);
        }
        catch (UpstreamRefusedException)
        {
            return null;
        }
        catch (UpstreamException trouble) when (trouble is not UpstreamRefusedException)
        {
            // Ours, when upstream's cannot be had: a part, and said to be.
            if (await StoredTags.PageAsync(mirroring.References, name, count, last, cancellationToken) is { } page)
                return new Answer<TagPage>(page, Outcome.Stale, trouble.Message);
            throw;
        }
    }

    public ValueTask<Answer<ReferrerPage>> ListReferrersAsync(Digest subject, string? artifactType, Digest? last, CancellationToken cancellationToken) =>
        mirroring.Referrers.ListAsync(name, subject, artifactType, cancellationToken);

    public async ValueTask<bool> DeleteManifestAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (await mirroring.Removals.RemoveManifestAsync(name, digest, cancellationToken) is not { } tags)
            return false;
        foreach (var tag in tags)
            await mirroring.Checks.ForgetAsync(name, tag);
        return true;
    }

    public async ValueTask<bool> DeleteTagAsync(string tag, CancellationToken cancellationToken)
    {
        await mirroring.Checks.ForgetAsync(name, tag);
        return await mirroring.Removals.RemoveTagAsync(name, tag, cancellationToken);
    }

    public ValueTask<bool> DeleteBlobAsync(Digest digest, CancellationToken cancellationToken) => mirroring.Removals.RemoveBlobAsync(name, digest, cancellationToken);

    private static async ValueTask<Answer<T>?> OrNo<T>(ValueTask<Answer<T>> answer)
    {
        try
        {
            return await answer;
        }
        catch (UpstreamRefusedException)
        {
            return null;
        }
    }
}

/// <summary>What the repositories of one upstream share.</summary>
public sealed record Mirroring(
    UpstreamClient Upstream, MirroredManifests Manifests, MirroredBlobs Blobs, MirroredReferrers Referrers, TagChecks Checks, Removals Removals, IReferenceStore References);
