using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Manifests of mirrored repositories. By digest what is stored is served and upstream is not asked; by tag upstream is asked, by HEAD and once
/// for all who wait, when the last check is older than <c>proxy.tags_cache_ttl</c>.
/// </summary>
public sealed partial class MirroredManifests(
    UpstreamClient upstream, Manifests manifests, IReferenceStore references, TagChecks checks, PendingTags pending, ILogger<MirroredManifests> log)
{
    private readonly Flights<(RepositoryName, string), Descriptor> _checking = new();
    private readonly Flights<(RepositoryName, Digest), Manifest> _fetching = new();
    private readonly Flights<(RepositoryName, Digest), Descriptor?> _proving = new();

    /// <summary>The manifest that a reference names.</summary>
    /// <exception cref="UpstreamException">Upstream gave another answer, and there is no copy to serve instead.</exception>
    public async ValueTask<Answer<Manifest>> GetAsync(RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        if (!reference.IsTag(out var tag, out var digest))
            return await GetByDigestAsync(name, digest, cancellationToken);

        // 1. Fresh: no question to upstream at all.
        if (checks.Fresh(name, tag) is { } fresh)
            return await GetByDigestAsync(name, fresh.Digest, cancellationToken);
        try
        {
            // 2. Lapsed: what does it name now? Then that, by digest: whatever moves in between, header and body agree.
            var (now, _) = await _checking.JoinOrStart((name, tag), stop => CheckAsync(name, tag, stop), cancellationToken);
            var answer = await GetByDigestAsync(name, now.Digest, cancellationToken);
            return answer.Outcome == Outcome.Hit ? answer with { Outcome = Outcome.Revalidated } : answer;
        }
        catch (UpstreamException trouble) when (trouble is not UpstreamRefusedException)
        {
            // 3. Upstream says nothing, or later: what the tag last named here, marked as such.
            if (await references.ResolveTagAsync(name, tag, cancellationToken) is { } last && await manifests.FindAsync(name, last, cancellationToken) is { } stale)
            {
                Stale(name, tag, trouble.Message);
                return new(stale, Outcome.Stale, trouble.Message);
            }
            throw;
        }
    }

    /// <summary>What a reference names, by a HEAD at most: a HEAD never costs a pull upstream.</summary>
    /// <exception cref="UpstreamException">Upstream gave another answer, and there is no copy to serve instead.</exception>
    public async ValueTask<Answer<Descriptor>> HeadAsync(RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        if (!reference.IsTag(out var tag, out var digest))
        {
            if (await manifests.FindAsync(name, digest, cancellationToken) is { } stored)
                return new(stored.Descriptor, Outcome.Hit);
            return await ProveAsync(name, digest, cancellationToken) is { } proved
                ? new(proved, Outcome.Miss)
                : Described(await GetByDigestAsync(name, digest, cancellationToken));
        }
        if (checks.Fresh(name, tag) is { } fresh)
            return new(fresh, Outcome.Hit);
        try
        {
            var (now, _) = await _checking.JoinOrStart((name, tag), stop => CheckAsync(name, tag, stop), cancellationToken);
            return new(now, await manifests.FindAsync(name, now.Digest, cancellationToken) is null ? Outcome.Miss : Outcome.Revalidated);
        }
        catch (UpstreamException trouble) when (trouble is not UpstreamRefusedException)
        {
            if (await references.ResolveTagAsync(name, tag, cancellationToken) is { } last && await manifests.FindAsync(name, last, cancellationToken) is { } stale)
            {
                Stale(name, tag, trouble.Message);
                return new(stale.Descriptor, Outcome.Stale, trouble.Message);
            }
            throw;
        }
    }

    private static Answer<Descriptor> Described(Answer<Manifest> answer) => new(answer.Value.Descriptor, answer.Outcome, answer.Stale);

    private async Task<Descriptor> CheckAsync(RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        Descriptor now;
        try
        {
            var reference = Reference.Parse(tag);
            if (await upstream.HeadManifestAsync(name, reference, cancellationToken) is { } head)
                now = head;
            else
            {
                // A HEAD without length or digest says nothing: only the bytes can tell.
                var manifest = await upstream.GetManifestAsync(name, reference, cancellationToken);
                await StoreAsync(name, manifest, cancellationToken);
                now = manifest.Descriptor;
            }
        }
        catch (UpstreamRefusedException)
        {
            // Gone upstream: it stops being served by tag. What it named stays, by digest.
            checks.Forget(name, tag);
            await references.DeleteTagAsync(name, tag, cancellationToken);
            throw;
        }
        if (await manifests.FindAsync(name, now.Digest, cancellationToken) is { } stored)
        {
            now = stored.Descriptor;
            await MoveTagAsync(name, tag, now.Digest, cancellationToken);
        }
        else
            pending.Add(name, tag, now.Digest);
        checks.Checked(name, tag, now);
        return now;
    }

    private async ValueTask<Answer<Manifest>> GetByDigestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await manifests.FindAsync(name, digest, cancellationToken) is { } stored)
            return new(stored, Outcome.Hit);
        var (fetched, joined) = await _fetching.JoinOrStart((name, digest), stop => FetchAsync(name, digest, stop), cancellationToken);
        return new(fetched, joined ? Outcome.Joined : Outcome.Miss);
    }

    private async Task<Manifest> FetchAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        // Stored for another repository: one HEAD proves this one's right to it.
        var manifest = await manifests.ReadAsync(digest, cancellationToken) is { } bytes && await ProveAsync(name, digest, cancellationToken) is { } proved
            ? new Manifest(proved with { Size = bytes.Length }, bytes)
            : await upstream.GetManifestAsync(name, digest, cancellationToken);
        await StoreAsync(name, manifest, cancellationToken);
        return manifest;
    }

    private async Task<Descriptor?> ProveAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var (proved, _) = await _proving.JoinOrStart((name, digest), stop => upstream.HeadManifestAsync(name, digest, stop), cancellationToken);
        return proved;
    }

    private async ValueTask StoreAsync(RepositoryName name, Manifest manifest, CancellationToken cancellationToken)
    {
        try
        {
            await manifests.PutAsync(name, manifest, cancellationToken);
            foreach (var tag in pending.Take(name, manifest.Descriptor.Digest))
                await MoveTagAsync(name, tag, manifest.Descriptor.Digest, cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The client asked for a manifest, not for a copy of it in our store.
            NotStored(name, manifest.Descriptor.Digest, failure);
        }
    }

    private async ValueTask MoveTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            if (await references.ResolveTagAsync(name, tag, cancellationToken) != digest)
                await references.SetTagAsync(name, tag, digest, cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            NotStored(name, digest, failure);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "serving {Name}:{Tag} as last seen, since it cannot be checked: {Reason}")]
    private partial void LogStale(string name, string tag, string reason);

    private void Stale(RepositoryName name, string tag, string reason) => LogStale(name.ToString(), tag, reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "cannot store {Digest} of {Name}; it is served uncached")]
    private partial void LogNotStored(string digest, string name, Exception failure);

    private void NotStored(RepositoryName name, Digest digest, Exception failure) => LogNotStored(digest.ToString(), name.ToString(), failure);
}
