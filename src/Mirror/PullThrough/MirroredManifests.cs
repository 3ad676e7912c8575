using Mirror.Health;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Manifests of mirrored repositories. For a digest, the server answers a stored manifest without asking upstream. For a tag whose last
/// check is older than <c>proxy.tags_cache_ttl</c>, it asks upstream by one HEAD for all waiting clients. Methods named Find ask only the
/// caches and the store. If they find nothing, methods named Fetch ask upstream.
/// </summary>
public sealed partial class MirroredManifests(
    UpstreamClient upstream, ImageCompletion completion, MirroredTags tags, HeldTags held, ManifestCache manifests,
    IProvenanceStore provenance, CacheSize cache, CopyEvidence evidence, UpstreamDeadlines deadlines, CachePolicies policies,
    StoreWrites writes, StaleMetrics metrics, TimeProvider time, ILogger<MirroredManifests> log)
{
    private readonly RareLine _staleLine = new(time);

    /// <summary>The stored manifest that a reference names; null if the server must ask upstream.</summary>
    public async ValueTask<Answer<Manifest>?> FindAsync(RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        string? why = null;
        if (reference.IsTag(out var tag, out var digest))
        {
            if (await FindTagAsync(name, tag, cancellationToken) is not { } current)
                return null;
            (digest, why) = (current.Digest, held.Find(name, tag));
        }
        var stored = await FindStoredAsync(name, digest, cancellationToken);
        if (tag is not null)
            await tags.MoveToAnsweredAsync(name, tag, digest, isStored: stored is not null);
        return stored is null ? null : new(stored, CacheStatus.Hit, Held: why);
    }

    /// <summary>The descriptor that a reference names, if the server knows it without asking upstream; else null.</summary>
    public async ValueTask<Answer<Descriptor>?> FindDescriptorAsync(
        RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        var current = reference.IsTag(out var tag, out var digest)
            ? await FindTagAsync(name, tag, cancellationToken)
            : (await FindStoredAsync(name, digest, cancellationToken))?.Descriptor;
        if (current is not { } known || tag is null)
            return current is null ? null : new(current.Value, CacheStatus.Hit);
        var stored = await FindStoredAsync(name, known.Digest, cancellationToken);
        await tags.MoveToAnsweredAsync(name, tag, known.Digest, isStored: stored is not null);
        // The length in `known` comes from upstream's HEAD and may be wrong, so take the stored manifest's own.
        if (stored is not null)
            known = stored.Descriptor;
        else if (await FindCopyAsync(name, tag, cancellationToken) is not null)
            return null;
        return new(known, CacheStatus.Hit, Held: held.Find(name, tag));
    }

    /// <summary>The manifest that a reference names now. If upstream does not answer, it is the stored one.</summary>
    /// <exception cref="UpstreamException">Upstream did not give the manifest, and no stored one can be served instead.</exception>
    public async ValueTask<Answer<Manifest>> FetchAsync(RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        if (!reference.IsTag(out var tag, out var digest))
            return await FetchByDigestAsync(name, digest, cancellationToken);

        // Resolve the tag, then get the manifest by digest: header and body agree, even if the tag moves in between.
        var current = await CheckTagAsync(name, tag, cancellationToken);
        if (await FindStoredAsync(name, current.Value.Digest, cancellationToken) is { } stored)
            return new(stored, current.CacheStatus, current.Stale, current.Held);
        var copy = await FindCopyAsync(name, tag, cancellationToken);
        return await FetchCheckedAsync(name, tag, current, copy, cancellationToken);
    }

    /// <summary>The descriptor that a reference names now, by HEAD if upstream supports it, because a HEAD is no pull upstream. If a tag
    /// moved, the new manifest is fetched: clients request it next by its digest, and not all registries send what their HEAD
    /// names.</summary>
    /// <exception cref="UpstreamException">Upstream did not describe the manifest, and no stored one can be served instead.</exception>
    public async ValueTask<Answer<Descriptor>> FetchDescriptorAsync(
        RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        if (reference.IsTag(out var tag, out var digest))
        {
            var current = await CheckTagAsync(name, tag, cancellationToken);
            if (await FindStoredAsync(name, current.Value.Digest, cancellationToken) is { } stored)
                return current with { Value = stored.Descriptor };
            if (await FindCopyAsync(name, tag, cancellationToken) is { } copy)
                return DescriptorOf(await FetchCheckedAsync(name, tag, current, copy, cancellationToken));
            return current.CacheStatus == CacheStatus.Revalidated ? current with { CacheStatus = CacheStatus.Miss } : current;
        }
        return await deadlines.WaitForMissAsync(name, HeadAsync(name, digest), cancellationToken) is { } head
            ? new(head, CacheStatus.Miss)
            : DescriptorOf(await FetchByDigestAsync(name, digest, cancellationToken));
    }

    /// <summary>Checks a tag before its TTL is over, and fetches the new manifest if the tag moved. Does not throw if the check fails,
    /// because a client's request checks the tag later.</summary>
    public Task CheckAheadAsync(RepositoryName name, string tag) =>
        RefreshAsync(name, tag, JoinCheck(name, tag));

    private static Answer<Descriptor> DescriptorOf(Answer<Manifest> answer) =>
        new(answer.Value.Descriptor, answer.CacheStatus, answer.Stale, answer.Held);

    // The manifest that the tag names, if the tag was checked within the TTL, or if upstream never moves it.
    private async ValueTask<Descriptor?> FindTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        if (await tags.Freshness.FindFreshInFleetAsync(name, tag) is { } fresh)
            return fresh;
        return policies.Of(name).IsImmutable(tag) ? (await FindLastAsync(name, tag, cancellationToken))?.Descriptor : null;
    }

    // The manifest that the check of the tag found. If upstream does not send it, the copy: what the tag named before it moved.
    private async ValueTask<Answer<Manifest>> FetchCheckedAsync(
        RepositoryName name, string tag, Answer<Descriptor> current, Manifest? copy, CancellationToken cancellationToken)
    {
        try
        {
            var fetched = await FetchNamedAsync(name, tag, current.Value.Digest, hasCopy: copy is not null, cancellationToken);
            return current.Stale is null ? fetched : fetched with { CacheStatus = CacheStatus.Stale, Stale = current.Stale };
        }
        catch (UpstreamException failure) when (copy is not null)
        {
            return Stale(name, tag, copy, failure);
        }
    }

    private async ValueTask<Answer<Descriptor>> CheckTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        // 1. Another request may have checked the tag since this one looked.
        if (tags.Freshness.FindFresh(name, tag) is { } fresh)
            return new(fresh, CacheStatus.Hit, Held: held.Find(name, tag));

        // 2. One check for all clients. Without a stored manifest they must wait for it.
        var check = JoinCheck(name, tag);
        if (await FindCopyAsync(name, tag, cancellationToken) is not { } copy)
            return Checked((await deadlines.WaitForMissAsync(name, check, cancellationToken)).Result);

        // 3. Serve the stored manifest, and check in the background.
        if (policies.Of(name).StaleWhileRevalidate)
        {
            _ = RefreshAsync(name, tag, check);
            return new(copy.Descriptor, CacheStatus.Stale, "the tag is being checked in the background");
        }

        // 4. Wait a moment for the check. If it is too slow or fails, except that upstream says "no", serve the stored manifest, marked as
        // stale.
        try
        {
            return Checked((await deadlines.WaitForRefreshAsync(name, check, cancellationToken)).Result);
        }
        catch (UpstreamException failure) when (failure is not UpstreamMissingException)
        {
            if (!check.IsCompleted)
                _ = RefreshAsync(name, tag, check);
            return DescriptorOf(Stale(name, tag, copy, failure));
        }

        Answer<Descriptor> Checked(UpstreamAnswer<Descriptor> current)
        {
            if (!current.IsStale)
                return new(current.Value, CacheStatus.Revalidated, Held: held.Find(name, tag));
            var failure = new UpstreamUnavailableException(upstream.WhyStale);
            // That mirror does not say how long its upstream has been away.
            if (!tags.Freshness.MayBeServedStale(name, tag))
                throw failure;
            NoteStale(name, tag, failure);
            return new(current.Value, CacheStatus.Stale, failure.Message, held.Find(name, tag));
        }
    }

    private async ValueTask<Manifest?> FindLastAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        await tags.StoredAsync(name, tag, cancellationToken) is { } digest
            ? await FindStoredAsync(name, digest, cancellationToken)
            : null;

    // A copy that this process may not read counts as missing: upstream has it too. The store has told the log of it.
    private ValueTask<Manifest?> FindStoredAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        UnreadableException.SkipAsync(() => manifests.FindAsync(name, digest, cancellationToken));

    // The manifest that the server may answer while upstream is unavailable.
    private async ValueTask<Manifest?> FindCopyAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        tags.Freshness.MayBeServedStale(name, tag) ? await FindLastAsync(name, tag, cancellationToken) : null;

    private Answer<Manifest> Stale(RepositoryName name, string tag, Manifest copy, UpstreamException failure)
    {
        NoteStale(name, tag, failure);
        return new(copy, CacheStatus.Stale, failure.Message);
    }

    private void NoteStale(RepositoryName name, string tag, UpstreamException failure)
    {
        metrics.Served(tags.Freshness.Age(name, tag));
        // While upstream is unavailable, every pull comes here, so warn rarely. But a refusal concerns one repository: always warn.
        var isNews = _staleLine.IsDue() || failure is UpstreamDeniedException or UpstreamMissingException;
        LogStale(isNews ? LogLevel.Warning : LogLevel.Information, name.ToString(), tag, failure.Message, failure.Advice);
    }

    private async Task<UpstreamAnswer<Descriptor>> CheckAsync(
        RepositoryName name, string tag, CancellationToken cancellationToken, bool byGet = false)
    {
        // If a client pushed this tag while the name was hosted, upstream's tag is something else: the pushed one stays until an operator
        // releases it.
        var (notCopied, storeAnswered) = await FindNotCopiedAsync(name, tag, cancellationToken);
        if (notCopied is (var pushed, Provenance.Pushed) && await manifests.FindAsync(name, pushed, cancellationToken) is { } own)
            return Own(own);
        Descriptor current;
        bool isStale;
        try
        {
            (current, isStale) = await AskAsync(name, tag, byGet, cancellationToken);
        }
        catch (UpstreamMissingException)
        {
            // By GET: a HEAD has just named a manifest, so upstream has not deleted the tag. The tag stays, and the caller serves the copy.
            if (byGet && await FindCopyAsync(name, tag, cancellationToken) is not null)
                throw;
            if (notCopied is (var unmarked, null) && await FindPushedAsync(name, unmarked, cancellationToken) is { } found)
                return Own(found);
            if (await FindLastAsync(name, tag, cancellationToken) is { } kept && await held.KeepsDeletedAsync(name, tag, cancellationToken))
                return Own(await KeepAsync(name, tag, kept));
            // Upstream deleted the tag. The manifest that it named is still served by digest.
            await tags.RemoveAsync(name, tag, cancellationToken);
            throw;
        }
        // If the store cannot tell whether a client pushed the tag's manifest, the tag does not move.
        if (!storeAnswered
            && await FindLastAsync(name, tag, cancellationToken) is { } present && present.Descriptor.Digest != current.Digest)
            return new(present.Descriptor, isStale);
        if (notCopied is (var old, null) && old != current.Digest && await FindPushedAsync(name, old, cancellationToken) is { } unknown)
            return Own(unknown);
        var last = policies.Of(name).MayHoldTags ? await tags.StoredAsync(name, tag, cancellationToken) : null;
        if (await held.HeldUntilAsync(name, tag, current.Digest, last, cancellationToken) is { } until)
            return await FindLastAsync(name, tag, cancellationToken) is { } former
                ? isStale ? new(former.Descriptor, isStale) : Own(await KeepAsync(name, tag, former))
                : throw new NewTagHeldException(
                    $"{name}:{tag} is new here, and will not be served before {HeldTags.Text(until)} (cooldown_new: hold)");
        var storeVersion = tags.StoreVersion;
        var stored = await FindStoredAsync(name, current.Digest, cancellationToken);
        current = stored?.Descriptor ?? current;
        await tags.RecordCheckAsync(name, tag, current, isStored: stored is not null, isStale, cancellationToken);
        // Another request may have stored the manifest since this one looked, and before the tag was pending.
        if (stored is null && tags.StoreVersion != storeVersion
            && await FindStoredAsync(name, current.Digest, cancellationToken) is not null)
            await tags.ManifestStoredAsync(name, current.Digest, cancellationToken);
        return new(current, isStale);

        // What the tag names here does not depend on how upstream knows it.
        static UpstreamAnswer<Descriptor> Own(Manifest manifest) => new(manifest.Descriptor, IsStale: false);
    }

    private async ValueTask<Manifest> KeepAsync(RepositoryName name, string tag, Manifest former)
    {
        await tags.Freshness.RecordCheckAsync(name, tag, former.Descriptor, moved: false);
        return former;
    }

    // Fetches the new manifest of a tag that was checked in the background. No client waits for it, so it leaves the last pulls of a rate
    // limit to clients.
    private async Task RefreshAsync(RepositoryName name, string tag, Task<(UpstreamAnswer<Descriptor> Result, bool Joined)> check)
    {
        try
        {
            var ((current, _), joined) = await check;
            if (!joined && !upstream.HasFewPullsLeft && await FindStoredAsync(name, current.Digest, CancellationToken.None) is null)
                await FetchNamedAsync(name, tag, current.Digest, hasCopy: false, CancellationToken.None);
        }
        catch (Exception failure) when (failure is UpstreamException or NewTagHeldException)
        {
            LogNotRefreshed(name.ToString(), tag, failure.Message);
        }
    }

    [LoggerMessage(Message =
        "serving the stored manifest of {Name}:{Tag} as stale, because upstream did not confirm it and sent no newer one: {Reason}")]
    private partial void LogStale(LogLevel level, string name, string tag, string reason, string? advice);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Name}:{Tag} could not be refreshed in the background: {Reason}")]
    private partial void LogNotRefreshed(string name, string tag, string reason);
}
