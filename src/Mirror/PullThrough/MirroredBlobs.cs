using Mirror.Health;
using Mirror.PullThrough.Fills;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Blobs of mirrored repositories. All repositories share the stored content; for each one, upstream must prove once that it may serve a
/// blob. Methods that find ask the store only. Methods that fetch ask upstream, where the former found nothing.
/// </summary>
public sealed class MirroredBlobs(
    FillSource source, RunningFills fills, CheckedContentStore content, IReferenceStore references, IProvenanceStore provenance,
    CacheSize cache, UpstreamDeadlines deadlines, StoreWrites writes, TimeProvider time)
{
    // An eviction may be deleting the blob that a client asks for. A blob that still seems to be stored after this time, and cannot be
    // opened, is damaged.
    private static readonly TimeSpan MaxLooking = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LookPause = TimeSpan.FromMilliseconds(50);
    private const int LooksWithoutPause = 3;

    // What upstream says to one login is no answer for another one.
    private readonly SingleFlight<(RepositoryName, Digest, ActingClient?), long?> _heads = new();
    private readonly SingleFlight<(RepositoryName, Digest, long Stored, ActingClient?), long> _counts = new();

    /// <summary>Opens a stored blob that the repository may serve.</summary>
    /// <returns>The blob; else null, and whether another repository has it stored.</returns>
    public async ValueTask<(Answer<Content>? Hit, bool IsStored)> FindAsync(
        RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        // The use first: an eviction that deletes the blob after this sees the use, and one that deleted it before this leaves no blob.
        if (!await cache.UsedAsync(digest, cancellationToken) || await content.OpenAsync(name, digest, cancellationToken) is not { } stored)
            return (null, false);
        var isLinked = false;
        try
        {
            isLinked = await references.HasBlobAsync(name, digest, cancellationToken);
            return (isLinked ? new Answer<Content>(Shown(digest, stored), CacheStatus.Hit) : null, true);
        }
        finally
        {
            if (!isLinked)
                await stored.DisposeAsync();
        }
    }

    /// <summary>Notes that a client is sent to a blob of a bucket.</summary>
    /// <returns>False if an eviction may delete the blob before the client reads it.</returns>
    public async ValueTask<bool> UsedAsync(Digest digest, CancellationToken cancellationToken) =>
        await cache.UsedAsync(digest, cancellationToken) && cache.MayRedirect(digest);

    /// <summary>Opens a blob that <see cref="FindAsync"/> did not find: joins its download, or starts one.</summary>
    /// <param name="isStored">Whether <see cref="FindAsync"/> found it stored by another repository.</param>
    /// <param name="ignoreLease">Whether this replica downloads a missing blob even if another replica has the lease for it.</param>
    /// <exception cref="UpstreamException">Upstream gave another answer.</exception>
    public ValueTask<Answer<Content>> FetchAsync(
        RepositoryName name, Digest digest, bool isStored, bool ignoreLease, CancellationToken cancellationToken) =>
        FetchAsync(name, digest, isStored, ignoreLease, isForClient: true, cancellationToken);

    private async ValueTask<Answer<Content>> FetchAsync(
        RepositoryName name, Digest digest, bool isStored, bool ignoreLease, bool isForClient, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        for (var look = 1; ; look++)
        {
            if (isStored && await OpenStoredAsync(name, digest, cancellationToken) is { } stored)
                return stored;
            if (await OpenFillAsync(name, digest, ignoreLease, isForClient, cancellationToken) is { } filling)
                return filling;
            // A download ended since this request looked into the store; or the one that this request joined failed for another repository.
            isStored = true;
            // The replica that has the lease may have failed it.
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
        await content.SizeAsync(name, digest, cancellationToken) is { } size
            && await references.HasBlobAsync(name, digest, cancellationToken)
            ? new(size, CacheStatus.Hit)
            : null;

    /// <summary>The length in bytes of another blob, by a HEAD upstream; null where upstream does not tell.</summary>
    /// <exception cref="UpstreamException">Upstream gave another answer.</exception>
    public async ValueTask<Answer<long?>> FetchSizeAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await content.SizeAsync(name, digest, cancellationToken) is not { } stored)
        {
            var expected = content.ExpectedSize(name, digest);
            return new(await HeadAsync(name, digest, expected, cancellationToken) ?? expected, CacheStatus.Miss);
        }
        await ProveAsync(name, digest, stored, cancellationToken);
        await LinkAsync(name, digest, cancellationToken);
        return new(stored, CacheStatus.Revalidated);
    }

    /// <inheritdoc cref="RunningFills.AreBusy"/>
    public bool AreDownloading => fills.AreBusy;

    /// <summary>Proves that the repository may serve a blob that is stored and not linked yet; false where there was nothing to
    /// prove.</summary>
    /// <exception cref="UpstreamException">Upstream gave another answer.</exception>
    public async ValueTask<bool> LinkStoredAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        // A client needs it, so no eviction takes it with an older image.
        if (await content.SizeAsync(name, digest, cancellationToken) is not { } stored || !await cache.UsedAsync(digest, cancellationToken)
            || await references.HasBlobAsync(name, digest, cancellationToken))
            return false;
        await ProveAsync(name, digest, stored, cancellationToken);
        await LinkAsync(name, digest, cancellationToken);
        return true;
    }

    /// <summary>Downloads a blob that is not stored, for no client and behind the downloads of clients; false where it is stored.</summary>
    /// <exception cref="UpstreamException">Upstream gave another answer.</exception>
    public async ValueTask<bool> DownloadAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await content.SizeAsync(name, digest, cancellationToken) is not null)
            return false;
        var answer = await FetchAsync(
            name, digest, isStored: false, ignoreLease: false, isForClient: false, cancellationToken);
        await answer.Value.DisposeAsync();
        return true;
    }

    private async ValueTask<Answer<Content>?> OpenStoredAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await content.SizeAsync(name, digest, cancellationToken) is not { } size)
            return null;
        var status = CacheStatus.Hit;
        if (!await references.HasBlobAsync(name, digest, cancellationToken))
        {
            await ProveAsync(name, digest, size, cancellationToken);
            await LinkAsync(name, digest, cancellationToken);
            status = CacheStatus.Revalidated;
        }
        return await cache.UsedAsync(digest, cancellationToken) && await content.OpenAsync(name, digest, cancellationToken) is { } stored
            ? new(Shown(digest, stored), status)
            : null;
    }

    // Without the address in the bucket while clients must not be sent there.
    private Content Shown(Digest digest, Content stored) => cache.MayRedirect(digest) ? stored : new UnlocatedContent(stored);

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
                var asked = time.GetTimestamp();
                await ProveAsync(
                    name, digest, fill.Transfer.Spool?.ExpectedLength ?? content.ExpectedSize(name, digest), cancellationToken);
                origin = fill.Origins.Add(source, name, ActingClient.Current, time.GetElapsedTime(asked));
                // Before the blob is stored: a request in between would find content without a link.
                if (origin is { IsLate: true })
                    await LinkAsync(name, digest, cancellationToken);
            }
            if (origin is not null && await deadlines.WaitForMissAsync(name, origin.Opened, cancellationToken))
                filling = fill.OpenRead(origin);
            return filling is null ? null : new(filling, joined || fill.Transfer.Owner is not null ? CacheStatus.Joined : CacheStatus.Miss);
        }
        catch (Exception failure) when (origin is not null
            && failure is IOException and not DigestMismatchException or UnauthorizedAccessException)
        {
            // The store has no room for the blob. The client still gets it from upstream.
            writes.Failed($"blob {digest}", failure);
            return new(await UncachedContent.OpenAsync(fill.Transfer, origin!, cancellationToken), CacheStatus.Miss);
        }
        finally
        {
            if (filling is null)
                await fill.LeaveAsync();
        }
    }

    // Proves that the repository may serve the blob: upstream has it there, with the same length. A page for people proves nothing.
    private async Task ProveAsync(RepositoryName name, Digest digest, long? length, CancellationToken cancellationToken)
    {
        var told = await HeadAsync(name, digest, length, cancellationToken);
        if (length is not { } own)
            return;
        if (told is null)
        {
            var count = _counts.JoinOrStart(
                (name, digest, own, ActingClient.Current), stop => CountAsync(name, digest, own + 1, stop), CancellationToken.None);
            // It takes as long as a download. What proxy.fail_fast limits is the wait for a first answer, which the HEAD was.
            told = (await count.WaitAsync(cancellationToken)).Result;
        }
        if (told != own)
            throw new UpstreamUnavailableException(
                $"{source.Upstream.Origin.Authority} says that {digest} has {told} bytes in {name}, and it has {own}.");
    }

    // Reads a blob whose length upstream does not tell. After so many bytes the count ends.
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
            writes.Failed($"the link of {digest} in {name}", failure);
        }
    }
}
