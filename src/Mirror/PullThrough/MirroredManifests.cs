using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Manifests of mirrored repositories. By digest what is stored is served and upstream is not asked; by tag upstream is asked, by HEAD and once
/// for all who wait, when the last check is older than <c>proxy.tags_cache_ttl</c>.
/// </summary>
public sealed partial class MirroredManifests(UpstreamClient upstream, MirroredTags tags, ManifestCache manifests, UpstreamDeadlines deadlines, ILogger<MirroredManifests> log)
{
    private readonly SingleFlight<(RepositoryName, string), Descriptor> _checking = new();
    private readonly SingleFlight<(RepositoryName, Digest), Manifest> _fetching = new();
    private readonly SingleFlight<(RepositoryName, Digest), Descriptor?> _proving = new();

    /// <summary>The manifest that a reference names.</summary>
    /// <exception cref="UpstreamException">Upstream gave another answer, and there is no copy to serve instead.</exception>
    public async ValueTask<Answer<Manifest>> GetAsync(RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        if (!reference.IsTag(out var tag, out var digest))
            return await GetByDigestAsync(name, digest, cancellationToken);

        // What the tag names now, then that by digest: whatever moves in between, header and body agree.
        var now = await ResolveAsync(name, tag, cancellationToken);
        if (await manifests.FindAsync(name, now.Value.Digest, cancellationToken) is { } stored)
            return new(stored, now.CacheStatus, now.Stale);
        var copy = await CopyAsync(name, tag, cancellationToken);
        try
        {
            return await FetchOnceAsync(name, now.Value.Digest, copy is not null, cancellationToken);
        }
        // The tag moved, but what it moved to cannot be had now.
        catch (UpstreamException trouble) when (copy is not null && trouble is not UpstreamRefusedException)
        {
            return Stale(name, tag, copy, trouble);
        }
    }

    /// <summary>What a reference names, by a HEAD at most: a HEAD never costs a pull upstream.</summary>
    /// <exception cref="UpstreamException">Upstream gave another answer, and there is no copy to serve instead.</exception>
    public async ValueTask<Answer<Descriptor>> HeadAsync(RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        if (reference.IsTag(out var tag, out var digest))
        {
            var now = await ResolveAsync(name, tag, cancellationToken);
            return now.CacheStatus == CacheStatus.Revalidated && await manifests.FindAsync(name, now.Value.Digest, cancellationToken) is null
                ? now with { CacheStatus = CacheStatus.Miss }
                : now;
        }
        if (await manifests.FindAsync(name, digest, cancellationToken) is { } stored)
            return new(stored.Descriptor, CacheStatus.Hit);
        return await deadlines.WaitForMissAsync(ProveAsync(name, digest), cancellationToken) is { } proved
            ? new(proved, CacheStatus.Miss)
            : Described(await GetByDigestAsync(name, digest, cancellationToken));
    }

    private static Answer<Descriptor> Described(Answer<Manifest> answer) => new(answer.Value.Descriptor, answer.CacheStatus, answer.Stale);

    private async ValueTask<Answer<Descriptor>> ResolveAsync(RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        // 1. Checked lately, or never to be checked again: no question to upstream at all.
        if (await tags.FreshAsync(name, tag) is { } fresh)
            return new(fresh, CacheStatus.Hit);
        var stored = tags.ChecksLater(tag) ? await LastAsync(name, tag, cancellationToken) : null;
        if (stored is not null && tags.IsImmutable(tag))
            return new(stored.Descriptor, CacheStatus.Hit);

        // 2. Answered at once, and checked behind the client's back.
        var checking = _checking.JoinOrStart((name, tag), stop => CheckAsync(name, tag, stop), CancellationToken.None);
        if (stored is not null && tags.MayBeServedStale(name, tag))
        {
            _ = RefreshAsync(name, checking);
            return new(stored.Descriptor, CacheStatus.Stale, "it is being checked in the background");
        }

        // 3. Checked now, once for all who wait.
        var copy = await CopyAsync(name, tag, cancellationToken);
        if (copy is null)
            return new((await deadlines.WaitForMissAsync(checking, cancellationToken)).Result, CacheStatus.Revalidated);
        try
        {
            return new((await deadlines.WaitForRefreshAsync(checking, cancellationToken)).Result, CacheStatus.Revalidated);
        }
        // 4. Upstream says nothing, nothing yet, or later: what the tag last named here, marked as such.
        catch (UpstreamException trouble) when (trouble is not UpstreamRefusedException)
        {
            if (!checking.IsCompleted)
                _ = RefreshAsync(name, checking);
            return Described(Stale(name, tag, copy, trouble));
        }
    }

    private async ValueTask<Manifest?> LastAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        await tags.LastAsync(name, tag, cancellationToken) is { } digest ? await manifests.FindAsync(name, digest, cancellationToken) : null;

    // What may be served where upstream cannot be asked.
    private async ValueTask<Manifest?> CopyAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        tags.MayBeServedStale(name, tag) ? await LastAsync(name, tag, cancellationToken) : null;

    private Answer<Manifest> Stale(RepositoryName name, string tag, Manifest copy, UpstreamException trouble)
    {
        LogStale(name.ToString(), tag, trouble.Message);
        return new(copy, CacheStatus.Stale, trouble.Message);
    }

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
            await tags.RemoveAsync(name, tag, cancellationToken);
            throw;
        }
        var stored = await manifests.FindAsync(name, now.Digest, cancellationToken);
        now = stored?.Descriptor ?? now;
        await tags.CheckedAsync(name, tag, now, isStored: stored is not null, cancellationToken);
        return now;
    }

    // Nobody waits for this, so it does not touch what is left for those who will.
    private async Task RefreshAsync(RepositoryName name, Task<(Descriptor Result, bool Joined)> checking)
    {
        try
        {
            var (now, joined) = await checking;
            if (!joined && !upstream.IsNearlySpent)
                await GetByDigestAsync(name, now.Digest, CancellationToken.None);
        }
        catch (UpstreamException trouble)
        {
            LogNotRefreshed(name.ToString(), trouble.Message);
        }
    }

    private async ValueTask<Answer<Manifest>> GetByDigestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await manifests.FindAsync(name, digest, cancellationToken) is { } stored)
            return new(stored, CacheStatus.Hit);
        return await FetchOnceAsync(name, digest, hasCopy: false, cancellationToken);
    }

    private async ValueTask<Answer<Manifest>> FetchOnceAsync(RepositoryName name, Digest digest, bool hasCopy, CancellationToken cancellationToken)
    {
        var fetching = _fetching.JoinOrStart((name, digest), stop => FetchAsync(name, digest, stop), CancellationToken.None);
        var (fetched, joined) = await (hasCopy ? deadlines.WaitForRefreshAsync(fetching, cancellationToken) : deadlines.WaitForMissAsync(fetching, cancellationToken));
        return new(fetched, joined ? CacheStatus.Joined : CacheStatus.Miss);
    }

    private async Task<Manifest> FetchAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        // Stored for another repository: one HEAD proves this one's right to it.
        var manifest = await manifests.ReadAsync(digest, cancellationToken) is { } bytes && await ProveAsync(name, digest) is { } proved
            ? new Manifest(proved with { Size = bytes.Length }, bytes)
            : await upstream.GetManifestAsync(name, digest, cancellationToken);
        await StoreAsync(name, manifest, cancellationToken);
        return manifest;
    }

    private async Task<Descriptor?> ProveAsync(RepositoryName name, Digest digest) =>
        (await _proving.JoinOrStart((name, digest), stop => upstream.HeadManifestAsync(name, digest, stop), CancellationToken.None)).Result;

    private async ValueTask StoreAsync(RepositoryName name, Manifest manifest, CancellationToken cancellationToken)
    {
        try
        {
            await manifests.PutAsync(name, manifest, cancellationToken);
            await tags.StoredAsync(name, manifest.Descriptor.Digest, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // The client asked for a manifest, not for a copy of it in our store.
            LogNotStored(manifest.Descriptor.Digest.ToString(), name.ToString(), failure);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "serving {Name}:{Tag} as last seen, since it cannot be checked: {Reason}")]
    private partial void LogStale(string name, string tag, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "a tag of {Name} could not be checked in the background: {Reason}")]
    private partial void LogNotRefreshed(string name, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "cannot store {Digest} of {Name}; it is served uncached")]
    private partial void LogNotStored(string digest, string name, Exception failure);
}
