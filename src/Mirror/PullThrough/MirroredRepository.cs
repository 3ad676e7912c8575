using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// A repository of an upstream. A hit comes from the store, and runs no code for misses. A miss is fetched once for all clients, and waits
/// for an unavailable upstream (<see cref="OutageRetry"/>).
/// </summary>
public sealed class MirroredRepository(RepositoryName name, UpstreamMirror mirror) : IRepository
{
    public RepositoryName Name => name;

    /// <summary>Why no client may read it (<c>proxy.policies</c>); null if clients may.</summary>
    public string? Denied => mirror.Policies.Of(name).Denied;

    /// <summary>Who may read it if it is private upstream; null if every client may (<c>proxy.private</c>).</summary>
    public PrivateRepositories? Privates => mirror.Privates;

    public async ValueTask<Answer<Manifest>?> GetManifestAsync(Reference reference, CancellationToken cancellationToken) =>
        await mirror.Manifests.FindAsync(name, reference, cancellationToken) ?? await FetchManifestAsync(reference, cancellationToken);

    public async ValueTask<Answer<Descriptor>?> HeadManifestAsync(Reference reference, CancellationToken cancellationToken) =>
        await mirror.Manifests.FindDescriptorAsync(name, reference, cancellationToken)
            ?? await FetchDescriptorAsync(reference, cancellationToken);

    public async ValueTask<Answer<Content>?> OpenBlobAsync(Digest digest, bool ignoreLease, CancellationToken cancellationToken)
    {
        mirror.Completion.Asked(name, digest);
        var (hit, isStored) = await mirror.Blobs.FindAsync(name, digest, cancellationToken);
        return hit ?? await FetchBlobAsync(digest, isStored, ignoreLease, cancellationToken);
    }

    public ValueTask<bool> TryNoteRedirectAsync(Digest digest, CancellationToken cancellationToken)
    {
        mirror.Completion.Asked(name, digest);
        return mirror.Blobs.TryNoteRedirectAsync(digest, cancellationToken);
    }

    public async ValueTask<Answer<long?>?> HeadBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        await mirror.Blobs.FindSizeAsync(name, digest, cancellationToken) ?? await FetchBlobSizeAsync(digest, cancellationToken);

    public ValueTask<Answer<TagPage>?> ListTagsAsync(int? count, string? last, CancellationToken cancellationToken) =>
        OrRefusalAsync(mirror.TagLists.PageAsync(name, count, last, cancellationToken));

    public ValueTask<Answer<ReferrerPage>> ListReferrersAsync(
        Digest subject, string? artifactType, Digest? last, CancellationToken cancellationToken) =>
        mirror.Referrers.PageAsync(name, subject, artifactType, last, cancellationToken);

    public async ValueTask<bool> DeleteManifestAsync(
        Digest digest, Action<Digest?>? condition, CancellationToken cancellationToken)
    {
        if (await mirror.Deletions.RemoveManifestAsync(name, digest, condition, cancellationToken) is not { } tags)
            return false;
        foreach (var tag in tags)
            await mirror.Freshness.ForgetAsync(name, tag);
        return true;
    }

    public async ValueTask<bool> DeleteTagAsync(string tag, Action<Digest?>? condition, CancellationToken cancellationToken)
    {
        await mirror.Freshness.ForgetAsync(name, tag);
        return await mirror.Deletions.RemoveTagAsync(name, tag, condition, cancellationToken);
    }

    public ValueTask<bool> DeleteBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        mirror.Deletions.RemoveBlobAsync(name, digest, cancellationToken);

    // Null if upstream does not have the content. That answer is remembered, and so is a denial.
    private async ValueTask<Answer<T>?> OrRefusalAsync<T>(ValueTask<Answer<T>> answer)
    {
        try
        {
            return await answer;
        }
        catch (UpstreamException refusal) when (refusal is UpstreamMissingException or UpstreamDeniedException)
        {
            mirror.Upstream.Remember(refusal, mirror.Policies.Of(name).MissingTtl);
            if (refusal is UpstreamMissingException)
                return null;
            throw;
        }
    }

    private ValueTask<Answer<T>?> FetchAsync<T>(Func<CancellationToken, ValueTask<Answer<T>>> fetch, CancellationToken cancellation) =>
        OrRefusalAsync(mirror.OutageRetry.RunAsync(name, fetch, cancellation));

    // Separate methods, because a lambda's closure is allocated where its method begins: a hit allocates none.
    private ValueTask<Answer<Manifest>?> FetchManifestAsync(Reference reference, CancellationToken cancellation) =>
        mirror.Notes.AroundAsync(
            name, reference, "GET manifest", () => FetchAsync(stop => mirror.Manifests.FetchAsync(name, reference, stop), cancellation));

    private ValueTask<Answer<Descriptor>?> FetchDescriptorAsync(Reference reference, CancellationToken cancellation) =>
        mirror.Notes.AroundAsync(
            name, reference, "HEAD manifest",
            () => FetchAsync(stop => mirror.Manifests.FetchDescriptorAsync(name, reference, stop), cancellation));

    private ValueTask<Answer<Content>?> FetchBlobAsync(Digest digest, bool lookFirst, bool ignoreLease, CancellationToken cancellation) =>
        mirror.Notes.AroundAsync(
            name, digest, "GET blob",
            () => FetchAsync(stop => mirror.Blobs.FetchAsync(name, digest, lookFirst, ignoreLease, stop), cancellation));

    private ValueTask<Answer<long?>?> FetchBlobSizeAsync(Digest digest, CancellationToken cancellation) =>
        mirror.Notes.AroundAsync(
            name, digest, "HEAD blob", () => FetchAsync(stop => mirror.Blobs.FetchSizeAsync(name, digest, stop), cancellation));
}
