using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// How pushes and a sweep agree on which content stays. They need only a store whose reads and lists see every write that ended before
/// them. Content is condemned while there is a small object that says so: a condemnation.
/// </summary>
/// <remarks>
/// <para>A push that relies on a digest writes a <i>claim</i>, and then looks whether it is condemned. A sweep that is about to delete
/// content <i>condemns</i> it, then looks for claims, and deletes only if no claim is young. If both run at once, at least one of them sees
/// the other (Dekker's algorithm): if the push does not see the condemnation, it was written after the push looked, so the sweep looks
/// after the claim was written, and sees it. If the push does see the condemnation, it waits until it is gone. What exists then stays. What
/// the push wrote before its claim may be gone then, so it looks.</para>
/// <para>A condemnation is valid for a limited time. A sweep that has not begun to delete within <see cref="SweepLimit"/> gives up. If a
/// push has waited longer than <see cref="CondemnationLife"/>, the sweep is dead, and the push deletes the condemnation. The sweep measures
/// from before it wrote the condemnation, the push from after it saw it, so they need no common clock. The difference between the two times
/// is for a delete that is sent, or carried out, late: a store has no way to refuse it.</para>
/// <para>Each condemnation has a name of its own, so that no push deletes one that is still valid. A claim has one object for each day. A
/// sweep deletes it when it is older than <see cref="ClaimLife"/>: no push writes to it any more, if all clocks agree to a day.</para>
/// </remarks>
internal sealed class BucketPushProtection(IBucket bucket, TimeProvider time)
{
    /// <summary>How long a push waits for a condemnation.</summary>
    private static readonly TimeSpan CondemnationLife = TimeSpan.FromMinutes(2);

    /// <summary>How long after it began to condemn content a sweep may begin to delete it.</summary>
    private static readonly TimeSpan SweepLimit = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    // A claim is written on one day only, and the grace period of a sweep is a week at most.
    private static readonly TimeSpan ClaimLife = TimeSpan.FromDays(8);

    /// <summary>Protects what a digest names, in all repositories, from sweeps. Only after it can a caller rely on what exists.</summary>
    public async ValueTask ClaimAsync(Digest digest, CancellationToken cancellationToken)
    {
        await bucket.PutTextAsync($"{RegistryLayout.Claims(digest)}/{time.GetUtcNow():yyyyMMdd}", "", cancellationToken);
        // A later condemnation comes from a sweep that sees the claim, so only these count.
        var found = await CondemnationsAsync(digest, cancellationToken);
        for (var seen = time.GetTimestamp(); found.Count > 0; found.IntersectWith(await CondemnationsAsync(digest, cancellationToken)))
        {
            if (time.GetElapsedTime(seen) < CondemnationLife)
            {
                await Task.Delay(Pause, time, cancellationToken);
                continue;
            }
            await bucket.DeleteAsync([.. found], cancellationToken);
            break;
        }
    }

    /// <summary>When a digest was last claimed; null if there is no claim.</summary>
    public async ValueTask<DateTimeOffset?> LastClaimAsync(Digest digest, CancellationToken cancellationToken)
    {
        DateTimeOffset? last = null;
        await foreach (var claim in bucket.ListFolderAsync(RegistryLayout.Claims(digest), cancellationToken))
            last = last > claim.Written ? last : claim.Written;
        return last;
    }

    /// <summary>When each digest was last claimed, from one list of all claims.</summary>
    public async ValueTask<Func<Digest, DateTimeOffset?>> LastClaimsAsync(CancellationToken cancellationToken)
    {
        Dictionary<UInt128, DateTimeOffset> last = [];
        await foreach (var (path, written, _) in bucket.ListFolderAsync(RegistryLayout.AllClaims, cancellationToken))
            if (path.Split('/') is [.., var algorithm, var hex, _] && Digest.TryParse($"{algorithm}:{hex}", out var digest)
                && (!last.TryGetValue(DigestSet.Key(digest), out var known) || written > known))
                last[DigestSet.Key(digest)] = written;
        return digest => last.TryGetValue(DigestSet.Key(digest), out var claimed) ? claimed : null;
    }

    /// <summary>Deletes objects that a digest names, unless the first of them or a claim of the digest is younger.</summary>
    /// <param name="paths">The objects. The date of the first decides; each of the others stays if it is young itself.</param>
    /// <param name="links">Links that go with them; then the caller has just looked whether they are young.</param>
    /// <returns>The length of the first in bytes; null if it stays or did not exist.</returns>
    public async ValueTask<long?> SweepAsync(
        Digest digest, DateTimeOffset before, IReadOnlyList<string> paths, CancellationToken cancellationToken,
        IReadOnlyList<SweptLink>? links = null)
    {
        // First it looks without condemning the content, because that makes pushes wait.
        if (links is null && (!(await bucket.FindAsync(paths[0], cancellationToken) is { } old && old.Written < before)
            || await LastClaimAsync(digest, cancellationToken) >= before))
            return null;

        var started = time.GetTimestamp();
        var condemnation = $"{RegistryLayout.Condemned(digest)}/{Guid.NewGuid():N}";
        await bucket.PutTextAsync(condemnation, "", cancellationToken);
        var freed = await LastClaimAsync(digest, cancellationToken) >= before
            ? null
            : await RemoveAsync(paths, before, started, cancellationToken);
        foreach (var link in freed is null ? [] : links ?? [])
            await RemoveAsync(link, before, started, cancellationToken);
        // Only if the deletion came to its end. Otherwise the store may still carry it out, and pushes have to wait until the condemnation
        // is over.
        await bucket.DeleteAsync(condemnation, CancellationToken.None);
        return freed;
    }

    /// <summary>Deletes claims that no longer matter, and condemnations of sweeps that died.</summary>
    public async ValueTask ForgetAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        foreach (var folder in new[] { RegistryLayout.AllClaims, RegistryLayout.AllCondemned })
            await foreach (var (path, written, _) in bucket.ListFolderAsync(folder, cancellationToken))
                if (written < now - ClaimLife)
                    await bucket.DeleteAsync(path, cancellationToken);
    }

    // The mark of a copy goes before its link, the mark of a push after it: see IProvenanceStore.
    private async ValueTask RemoveAsync(SweptLink link, DateTimeOffset before, long started, CancellationToken cancellationToken)
    {
        if (!(await bucket.FindAsync(link.Path, cancellationToken) is { } found && found.Written < before)
            || time.GetElapsedTime(started) >= SweepLimit)
            return;
        await bucket.DeleteAsync(link.Copied, cancellationToken);
        await RemoveAsync([link.Path, link.Pushed], before, started, cancellationToken);
    }

    private async ValueTask<long?> RemoveAsync(
        IReadOnlyList<string> paths, DateTimeOffset before, long started, CancellationToken cancellationToken)
    {
        long? freed = null;
        foreach (var path in paths)
        {
            if (await bucket.FindAsync(path, cancellationToken) is { } found && found.Written < before
                && time.GetElapsedTime(started) < SweepLimit)
            {
                await bucket.DeleteAsync(path, cancellationToken);
                freed ??= found.Size;
            }
            else if (freed is null)
                break;
        }
        return freed;
    }

    private async ValueTask<HashSet<string>> CondemnationsAsync(Digest digest, CancellationToken cancellationToken)
    {
        HashSet<string> found = [];
        await foreach (var condemnation in bucket.ListFolderAsync(RegistryLayout.Condemned(digest), cancellationToken))
            found.Add(condemnation.Path);
        return found;
    }
}

/// <summary>The paths of a blob's link in a repository, and of its marks of provenance.</summary>
internal sealed record SweptLink(string Path, string Copied, string Pushed);
