using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>A repository of an upstream. What is stored is served; what is missing is fetched once, whoever asks.</summary>
public sealed class MirroredRepository(RepositoryName name, UpstreamMirror mirroring) : IRepository
{
    public RepositoryName Name => name;

    public ValueTask<Answer<Manifest>?> GetManifestAsync(Reference reference, CancellationToken cancellationToken) =>
        AskAsync(static (mirroring, name, reference, stop) => mirroring.Manifests.GetAsync(name, reference, stop), reference, cancellationToken);

    public ValueTask<Answer<Descriptor>?> HeadManifestAsync(Reference reference, CancellationToken cancellationToken) =>
        AskAsync(static (mirroring, name, reference, stop) => mirroring.Manifests.HeadAsync(name, reference, stop), reference, cancellationToken);

    public ValueTask<Answer<Content>?> OpenBlobAsync(Digest digest, bool ignoreLease, CancellationToken cancellationToken) =>
        AskAsync(static (mirroring, name, blob, stop) => mirroring.Blobs.OpenAsync(name, blob.digest, blob.ignoreLease, stop), (digest, ignoreLease), cancellationToken);

    public ValueTask<Answer<long?>?> HeadBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        AskAsync(static (mirroring, name, digest, stop) => mirroring.Blobs.HeadAsync(name, digest, stop), digest, cancellationToken);

    public async ValueTask<Answer<TagPage>?> ListTagsAsync(int? count, string? last, CancellationToken cancellationToken)
    {
        try
        {
            return new Answer<TagPage>(await mirroring.Upstream.ListTagsAsync(name, count, last, cancellationToken), CacheStatus.Miss);
        }
        catch (UpstreamRefusedException)
        {
            return null;
        }
        catch (UpstreamException trouble) when (trouble is not UpstreamRefusedException)
        {
            // Ours, when upstream's cannot be had: a part, and said to be.
            if (await StoredTags.PageAsync(mirroring.References, name, count, last, cancellationToken) is { } page)
                return new Answer<TagPage>(page, CacheStatus.Stale, trouble.Message);
            throw;
        }
    }

    public ValueTask<Answer<ReferrerPage>> ListReferrersAsync(Digest subject, string? artifactType, Digest? last, CancellationToken cancellationToken) =>
        mirroring.Referrers.ListAsync(name, subject, artifactType, cancellationToken);

    public async ValueTask<bool> DeleteManifestAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (await mirroring.RepositoryDeletions.RemoveManifestAsync(name, digest, cancellationToken) is not { } tags)
            return false;
        foreach (var tag in tags)
            await mirroring.Checks.ForgetAsync(name, tag);
        return true;
    }

    public async ValueTask<bool> DeleteTagAsync(string tag, CancellationToken cancellationToken)
    {
        await mirroring.Checks.ForgetAsync(name, tag);
        return await mirroring.RepositoryDeletions.RemoveTagAsync(name, tag, cancellationToken);
    }

    public ValueTask<bool> DeleteBlobAsync(Digest digest, CancellationToken cancellationToken) => mirroring.RepositoryDeletions.RemoveBlobAsync(name, digest, cancellationToken);

    private async ValueTask<Answer<T>?> AskAsync<TWhat, T>(
        Func<UpstreamMirror, RepositoryName, TWhat, CancellationToken, ValueTask<Answer<T>>> ask, TWhat what, CancellationToken cancellationToken)
    {
        try
        {
            return await mirroring.OutageRetry.AskAsync(
                static (question, stop) => question.ask(question.mirroring, question.name, question.what, stop), (ask, mirroring, name, what), cancellationToken);
        }
        catch (UpstreamRefusedException)
        {
            return null;
        }
    }
}

/// <summary>What the repositories of one upstream share.</summary>
public sealed record UpstreamMirror(
    UpstreamClient Upstream, MirroredManifests Manifests, MirroredBlobs Blobs, MirroredReferrers Referrers, TagFreshness Checks, RepositoryDeletions RepositoryDeletions, IReferenceStore References,
    OutageRetry OutageRetry);
