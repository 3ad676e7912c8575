using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// How those who rely on content and the sweep that would take it come to agree, with nothing but a store whose reads and lists see every write that
/// ended before them.
/// </summary>
/// <remarks>
/// <para>Whoever claims a digest writes a claim, then looks for marks. The sweep writes a mark, then looks for claims, and takes something only
/// if none is young. Of two that do so at once at least one sees the other (Dekker): if the claim's look missed the mark, the mark was written
/// after it, so the sweep's look comes after the claim was written and finds it. If the claim's look found the mark, it waits until that
/// mark is gone, and what is there then stays.</para>
/// <para>A mark is a lease. A sweep that has not begun to remove when <see cref="SweepLimit"/> is over gives up, and whoever waits longer than
/// <see cref="Lease"/> for a mark waits for a dead one, and takes it away. Both are measured from before the mark was written, respectively
/// after it was seen, so they need no common clock; what remains between the two is for a request that is sent, or carried out, late: a store has no
/// way to refuse it then.</para>
/// <para>No mark has another's name, so that nobody ever takes away one that is still needed. A claim is written over for a day, and
/// removed when it is older than <see cref="ClaimLife"/>: then nobody writes it any more, if clocks agree to a day.</para>
/// </remarks>
internal sealed class BucketPushProtection(S3Bucket bucket)
{
    /// <summary>How long a mark counts.</summary>
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(2);

    /// <summary>How long a sweep may have taken, from before its mark, when it begins to remove.</summary>
    private static readonly TimeSpan SweepLimit = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    // A claim is written over on one day only, so at this age it no longer is, and no grace is longer than a week.
    private static readonly TimeSpan ClaimLife = TimeSpan.FromDays(8);

    /// <summary>Keeps everything that a digest names, in all repositories, from being swept; whether it is there is to be asked afterwards.</summary>
    public async ValueTask ClaimAsync(Digest digest, CancellationToken cancellationToken)
    {
        await bucket.Writer.PutTextAsync($"{RegistryLayout.Claims(digest)}/{bucket.Time.GetUtcNow():yyyyMMdd}", "", cancellationToken);
        // DigestSet that come later see the claim: only these are waited for.
        var marks = await MarksAsync(digest, cancellationToken);
        for (var seen = bucket.Time.GetTimestamp(); marks.Count > 0; marks.IntersectWith(await MarksAsync(digest, cancellationToken)))
        {
            if (bucket.Time.GetElapsedTime(seen) < Lease)
            {
                await Task.Delay(Pause, bucket.Time, cancellationToken);
                continue;
            }
            foreach (var dead in marks)
                await bucket.DeleteAsync(dead, cancellationToken);
            break;
        }
    }

    /// <summary>When a digest was last claimed; null where it was not, lately.</summary>
    public async ValueTask<DateTimeOffset?> LastAsync(Digest digest, CancellationToken cancellationToken)
    {
        DateTimeOffset? last = null;
        await foreach (var claim in bucket.ListAsync(RegistryLayout.Claims(digest), cancellationToken))
            last = last > claim.Written ? last : claim.Written;
        return last;
    }

    /// <summary>Removes objects of a digest, the first of which says how old they are, unless that or a claim is younger.</summary>
    /// <param name="paths">The objects; all but the first stay if they are young themselves.</param>
    /// <returns>The first one's length in bytes; null where it stays, or was not there.</returns>
    public async ValueTask<long?> SweepAsync(Digest digest, DateTimeOffset before, IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        // By the look of it, and without a mark, which would make others wait.
        if (!(await bucket.FindAsync(paths[0], cancellationToken) is { } old && old.Written < before) || await LastAsync(digest, cancellationToken) >= before)
            return null;

        var started = bucket.Time.GetTimestamp();
        var mark = $"{RegistryLayout.Condemned(digest)}/{Guid.NewGuid():N}";
        await bucket.Writer.PutTextAsync(mark, "", cancellationToken);
        var freed = await LastAsync(digest, cancellationToken) >= before ? null : await RemoveAsync(paths, before, started, cancellationToken);
        // Not where the removal ended otherwise: it may still be carried out, and until the lease is over others had better wait.
        await bucket.DeleteAsync(mark, CancellationToken.None);
        return freed;
    }

    /// <summary>Forgets claims that can no longer matter, and marks of sweeps that died.</summary>
    public async ValueTask ForgetAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        foreach (var folder in new[] { RegistryLayout.AllClaims, RegistryLayout.AllCondemned })
            await foreach (var (path, written, _) in bucket.ListAsync(folder, cancellationToken))
                if (written < now - ClaimLife)
                    await bucket.DeleteAsync(path, cancellationToken);
    }

    private async ValueTask<long?> RemoveAsync(IReadOnlyList<string> paths, DateTimeOffset before, long started, CancellationToken cancellationToken)
    {
        long? freed = null;
        foreach (var path in paths)
        {
            if (await bucket.FindAsync(path, cancellationToken) is { } found && found.Written < before && bucket.Time.GetElapsedTime(started) < SweepLimit)
            {
                await bucket.DeleteAsync(path, cancellationToken);
                freed ??= found.Size;
            }
            else if (freed is null)
                break;
        }
        return freed;
    }

    private async ValueTask<HashSet<string>> MarksAsync(Digest digest, CancellationToken cancellationToken)
    {
        HashSet<string> marks = [];
        await foreach (var mark in bucket.ListAsync(RegistryLayout.Condemned(digest), cancellationToken))
            marks.Add(mark.Path);
        return marks;
    }
}
