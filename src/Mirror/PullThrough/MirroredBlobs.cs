using Mirror.Health;
using Mirror.PullThrough.Fills;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Blobs of mirrored repositories. All repositories share the stored content; before a repository serves a stored blob for the first time,
/// upstream must show that this repository has it. The methods <c>Find...</c> look only into the store. <c>Fetch...</c>,
/// <see cref="LinkStoredAsync"/> and <see cref="StartDownloadAsync"/> may ask upstream.
/// </summary>
public sealed class MirroredBlobs(
    FillSource source, RunningFills fills, CheckedContentStore content, IReferenceStore references, IProvenanceStore provenance,
    CacheSize cache, UpstreamDeadlines deadlines, StoreWrites writes, TimeProvider time)
{
    // An eviction may be deleting the blob that a client asks for. If the store still says after this time that it has the blob, and
    // does not open it, the blob is damaged.
    private static readonly TimeSpan MaxLooking = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LookPause = TimeSpan.FromMilliseconds(50);
    private const int LooksWithoutPause = 3;

    // The key has the login: upstream may give another login another answer.
    private readonly SingleFlight<(RepositoryName, Digest, ActingClient?), long?> _heads = new();
    private readonly SingleFlight<(RepositoryName, Digest, long Stored, ActingClient?), long> _counts = new();

    /// <summary>Opens a stored blob that the repository may serve.</summary>
    /// <returns>The blob, or null if this repository may not serve it yet; and whether the blob is stored at all.</returns>
    public async ValueTask<(Answer<Content>? Hit, bool IsStored)> FindAsync(
        RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        // Note the use before opening: then an eviction either sees the use, or has already deleted the blob.
        if (!await cache.TryNoteUseAsync(digest, cancellationToken) || await OpenAsync(name, digest, cancellationToken) is not { } stored)
            return (null, false);
        var isLinked = false;
        try
        {
            isLinked = await IsLinkedAsync(name, digest, cancellationToken);
            return (isLinked ? new Answer<Content>(WithoutAddressIfEvictable(digest, stored), CacheStatus.Hit) : null, true);
        }
        finally
        {
            if (!isLinked)
                await stored.DisposeAsync();
        }
    }

    /// <summary>Notes that the server redirects a client to a blob in the bucket.</summary>
    /// <returns>False if an eviction may delete the blob before the client reads it.</returns>
    public async ValueTask<bool> TryNoteRedirectAsync(Digest digest, CancellationToken cancellationToken) =>
        await cache.TryNoteUseAsync(digest, cancellationToken) && cache.MayRedirect(digest);

    /// <summary>Opens a blob that <see cref="FindAsync"/> did not find: joins its download, or starts one.</summary>
    /// <param name="lookFirst">Whether to look into the store before a download is started. Set it if the blob is possibly in the store
    /// already: <see cref="FindAsync"/> found it in another repository, or a download may have ended meanwhile.</param>
    /// <param name="ignoreLease">Whether this replica downloads a missing blob even if another replica has the lease for it.</param>
    /// <exception cref="UpstreamException">Upstream lacks the blob, denies it, limits requests (429) or is unavailable: see the
    /// subclasses.</exception>
    public ValueTask<Answer<Content>> FetchAsync(
        RepositoryName name, Digest digest, bool lookFirst, bool ignoreLease, CancellationToken cancellationToken) =>
        FetchAsync(name, digest, lookFirst, ignoreLease, isForClient: true, cancellationToken);

    private async ValueTask<Answer<Content>> FetchAsync(
        RepositoryName name, Digest digest, bool lookFirst, bool ignoreLease, bool isForClient, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        for (var look = 1; ; look++)
        {
            if (lookFirst && await OpenStoredAsync(name, digest, cancellationToken) is { } stored)
                return stored;
            if (await OpenFillAsync(name, digest, ignoreLease, isForClient, cancellationToken) is { } filling)
                return filling;
            // The fill gave no reader, for one of three reasons: the blob is stored already; the fill failed; or the fill goes on without
            // this repository, because upstream has not confirmed that this repository may serve the blob. So look into the store, and if
            // the blob is not there, join or start a fill again.
            lookFirst = true;
            // The replica that has the lease may have failed to download the blob.
            ignoreLease = true;
            if (look < LooksWithoutPause)
                continue;
            if (time.GetElapsedTime(began) > MaxLooking)
                throw new StoreUnavailableException(
                    $"the store says again and again that it has {digest}, and does not open it: look for damage with the command verify");
            await Task.Delay(LookPause, time, cancellationToken);
        }
    }

    /// <summary>The length in bytes of a stored blob that the repository may serve; null where upstream must be asked.</summary>
    public async ValueTask<Answer<long?>?> FindSizeAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        await SizeAsync(name, digest, cancellationToken) is { } size
            && await IsLinkedAsync(name, digest, cancellationToken)
            ? new(size, CacheStatus.Hit)
            : null;

    /// <summary>
    /// The length in bytes of a blob that <see cref="FindSizeAsync"/> did not find: from its running download, the store, or a HEAD
    /// upstream; null if neither upstream nor a manifest that names the blob tells it. If upstream labels the blob as an HTML page, the
    /// server downloads it: only the digest can tell the blob from a login page.
    /// </summary>
    /// <exception cref="UpstreamException">Upstream lacks the blob, denies it, limits requests (429) or is unavailable: see the
    /// subclasses.</exception>
    public async ValueTask<Answer<long?>> FetchSizeAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (!fills.AreRunningFor(name, digest))
        {
            // A download may have ended since this request looked into the store.
            if (await ProvedSizeAsync(name, digest, cancellationToken) is var (size, status))
                return new(size, status);
            var expected = content.ExpectedSize(name, digest);
            try
            {
                return new(await HeadAsync(name, digest, expected, cancellationToken) ?? expected, CacheStatus.Miss);
            }
            catch (UpstreamUnavailableException page) when (page.IsWebPage)
            {
                // Download it.
            }
        }
        var answer = await FetchAsync(name, digest, lookFirst: true, ignoreLease: false, cancellationToken);
        await using var blob = answer.Value;
        return new(blob.Length, answer.CacheStatus);
    }

    /// <inheritdoc cref="RunningFills.AreBusy"/>
    public bool AreDownloading => fills.AreBusy;

    /// <summary>Proves that the repository may serve a blob that is stored and not linked yet, and links it; false if the blob is not
    /// stored, or is linked already.</summary>
    /// <exception cref="UpstreamException">Upstream lacks the blob, denies it, limits requests (429) or is unavailable: see the
    /// subclasses.</exception>
    public async ValueTask<bool> LinkStoredAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        // Note the use, so that evicting an older image does not delete this blob.
        if (await SizeAsync(name, digest, cancellationToken) is not { } stored || !await cache.TryNoteUseAsync(digest, cancellationToken)
            || await IsLinkedAsync(name, digest, cancellationToken))
            return false;
        await ProveAsync(name, digest, stored, cancellationToken);
        await LinkAsync(name, digest, cancellationToken);
        return true;
    }

    /// <summary>Starts the download of a blob that is not stored, although no client has asked for it. Downloads for clients go first.
    /// False if the blob is stored. Returns when upstream's first bytes have come; the download goes on.</summary>
    /// <exception cref="UpstreamException">Upstream lacks the blob, denies it, limits requests (429) or is unavailable: see the
    /// subclasses.</exception>
    public async ValueTask<bool> StartDownloadAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await SizeAsync(name, digest, cancellationToken) is not null)
            return false;
        var answer = await FetchAsync(
            name, digest, lookFirst: false, ignoreLease: false, isForClient: false, cancellationToken);
        await answer.Value.DisposeAsync();
        return true;
    }

    // The length of a stored blob. If the repository has no link to it yet, upstream must prove that the repository may serve it.
    private async ValueTask<(long Size, CacheStatus Status)?> ProvedSizeAsync(
        RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await SizeAsync(name, digest, cancellationToken) is not { } size)
            return null;
        if (await IsLinkedAsync(name, digest, cancellationToken))
            return (size, CacheStatus.Hit);
        await ProveAsync(name, digest, size, cancellationToken);
        await LinkAsync(name, digest, cancellationToken);
        return (size, CacheStatus.Revalidated);
    }

    private async ValueTask<Answer<Content>?> OpenStoredAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await ProvedSizeAsync(name, digest, cancellationToken) is not var (_, status))
            return null;
        return await cache.TryNoteUseAsync(digest, cancellationToken) && await OpenAsync(name, digest, cancellationToken) is { } stored
            ? new(WithoutAddressIfEvictable(digest, stored), status)
            : null;
    }

    // A copy or a link that this process may not read counts as missing, because upstream has the blob too. The store has logged it.
    private ValueTask<Content?> OpenAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        UnreadableException.SkipAsync(() => content.OpenAsync(name, digest, cancellationToken));

    private ValueTask<long?> SizeAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        UnreadableException.SkipAsync(() => content.ReadableSizeAsync(name, digest, cancellationToken));

    private ValueTask<bool> IsLinkedAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        UnreadableException.SkipAsync(() => references.HasBlobAsync(name, digest, cancellationToken));

    // If an eviction could delete the blob before a redirected client reads it, hide its address in the bucket. Then this server sends the
    // blob itself.
    private Content WithoutAddressIfEvictable(Digest digest, Content stored) =>
        cache.MayRedirect(digest) ? stored : new UnlocatedContent(stored);

    private async ValueTask<Answer<Content>?> OpenFillAsync(
        RepositoryName name, Digest digest, bool ignoreLease, bool isForClient, CancellationToken cancellationToken)
    {
        var (fill, joined) = fills.JoinOrStart(source, name, digest, ignoreLease, isForClient);
        var origin = fill.Origins.Find(name, ActingClient.Current);
        Content? filling = null;
        try
        {
            if (origin is null)
            {
                // The fill may have ended already, and let go of the origin that it began with.
                if (fill.Origins.HaveSentClientsToStore)
                    return null;
                var answeredIn = await ProveAsync(
                    name, digest, fill.Transfer.Spool?.ExpectedLength ?? content.ExpectedSize(name, digest), cancellationToken);
                origin = fill.Origins.Add(source, name, ActingClient.Current, answeredIn);
                // The fill has already begun to link the blob for its repositories, without this one.
                if (origin is { IsLate: true })
                    await LinkAsync(name, digest, cancellationToken);
            }
            if (origin is not null && await deadlines.WaitForMissAsync(name, origin.Opened, cancellationToken))
                filling = fill.OpenRead(origin);
            return filling is null ? null
                : new(filling, joined || fill.Transfer.LeaseOwner is not null ? CacheStatus.Joined : CacheStatus.Miss);
        }
        catch (Exception failure) when (origin is not null
            && failure is IOException and not DigestMismatchException or UnauthorizedAccessException)
        {
            // The store has no room for the blob, or this process may not read the stored blob. The client still gets it from upstream.
            if (failure is not UnreadableException)
                writes.Failed($"blob {digest}", failure);
            return new(await UncachedContent.OpenAsync(fill.Transfer, origin!, cancellationToken), CacheStatus.Miss);
        }
        finally
        {
            if (filling is null)
                await fill.LeaveAsync();
        }
    }

    // Proves that the repository may serve the blob: upstream has it there, and with the same length if the length is known. An HTML page
    // proves nothing. Returns how long upstream took to answer.
    private async Task<TimeSpan> ProveAsync(RepositoryName name, Digest digest, long? length, CancellationToken cancellationToken)
    {
        var asked = time.GetTimestamp();
        var upstreamLength = await HeadAsync(name, digest, length, cancellationToken);
        var answeredIn = time.GetElapsedTime(asked);
        if (length is not { } expected)
            return answeredIn;
        if (upstreamLength is null)
        {
            var count = _counts.JoinOrStart(
                (name, digest, expected, ActingClient.Current), stop => CountAsync(name, digest, expected + 1, stop),
                CancellationToken.None);
            // The count takes as long as a download. proxy.fail_fast does not limit it: that key limits the wait for upstream's first
            // answer, and the answer to the HEAD has come.
            upstreamLength = (await count.WaitAsync(cancellationToken)).Result;
        }
        if (upstreamLength != expected)
            throw new UpstreamUnavailableException(
                $"The blob {digest} in {name} at {source.Upstream.Origin.Authority} does not have the length that the mirror expects "
                + $"({expected} bytes).");
        return answeredIn;
    }

    // Counts the bytes of a blob whose length upstream does not tell. The count stops when it reaches the number in most.
    private async Task<long> CountAsync(RepositoryName name, Digest digest, long most, CancellationToken cancellationToken)
    {
        await using var blob = await UpstreamContent.OpenAsync(source.Upstream, name, digest, 0, null, time, cancellationToken);
        var (count, buffer) = (0L, new byte[64 * 1024]);
        while (count < most && await blob.ReadAsync(count, buffer, cancellationToken) is > 0 and var read)
            count += read;
        return count;
    }

    private async Task<long?> HeadAsync(RepositoryName name, Digest digest, long? expected, CancellationToken cancellationToken)
    {
        var head = _heads.JoinOrStart(
            (name, digest, ActingClient.Current), stop => source.Upstream.HeadBlobAsync(name, digest, expected, stop),
            CancellationToken.None);
        return (await deadlines.WaitForMissAsync(name, head, cancellationToken)).Result;
    }

    private async ValueTask LinkAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            await provenance.MarkAsync(name, digest, Provenance.Copied, cancellationToken);
            await references.LinkBlobAsync(name, digest, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            writes.Failed($"the link of {digest} in {name}", failure, name);
        }
    }
}
