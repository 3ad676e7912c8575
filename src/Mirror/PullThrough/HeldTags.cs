using System.Globalization;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Health;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.PullThrough;

/// <summary>
/// The tags that still name their stored manifest although upstream says otherwise: upstream has deleted the tag (<c>keep_deleted</c>), or
/// has moved it to a manifest that this server has not known for long enough (<c>cooldown</c>). The dates are in the store, so they outlive
/// the process, and replicas share them.
/// </summary>
public sealed class HeldTags : IDisposable
{
    private const int MaxTags = 100_000;

    // Why each tag is held, for the answers until its next check.
    private readonly MemoryCache _reasons = new(new MemoryCacheOptions { SizeLimit = MaxTags });
    private readonly CachePolicies _policies;
    private readonly TagFreshness _freshness;
    private readonly IDateStore _dates;
    private readonly StoreWrites _writes;
    private readonly TimeProvider _time;
    // False while no tag is held, as on most servers: then a pull needs no look into the cache.
    private volatile bool _heldAny;

    public HeldTags(
        CachePolicies policies, TagFreshness freshness, IDateStore dates, StoreWrites writes, StoreMetrics metrics, TimeProvider time)
    {
        (_policies, _freshness, _dates, _writes, _time) = (policies, freshness, dates, writes, time);
        metrics.ObserveHeldTags(Count);
    }

    /// <summary>Why the tag names another manifest here than at upstream; null if, by its last check here, it does not.</summary>
    public string? Find(RepositoryName name, string tag) =>
        _heldAny ? _reasons.Get<Reason>((name, tag))?.Text : null;

    /// <summary>The manifest that a held tag would move to; null where there is none.</summary>
    public Digest? MovesTo(RepositoryName name, string tag) => _heldAny ? _reasons.Get<Reason>((name, tag))?.MovesTo : null;

    /// <summary>
    /// Whether the server still serves the stored copy of a tag that upstream does not have. Call it after each such answer of upstream.
    /// </summary>
    public async ValueTask<bool> KeepsDeletedAsync(RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        if (_policies.Of(name).KeepDeleted is var keep && keep <= TimeSpan.Zero)
            return false;
        var path = RegistryLayout.DeletedAtUpstream(name, tag);
        var since = await FirstAsync(path, cancellationToken);
        if (_time.GetUtcNow() - since >= keep)
        {
            await ForgetAsync(path, cancellationToken);
            _reasons.Remove((name, tag));
            return false;
        }
        Hold(name, tag, null, $"upstream has deleted the tag; this was seen on {Text(since)}");
        return true;
    }

    /// <summary>Until when a tag may not move to a manifest; null if it may move now. Call it after each check of the tag that found
    /// it.</summary>
    /// <param name="stored">The manifest that the tag names here; null for a tag that is not stored.</param>
    public async ValueTask<DateTimeOffset?> HeldUntilAsync(
        RepositoryName name, string tag, Digest current, Digest? stored, CancellationToken cancellationToken)
    {
        var policy = _policies.Of(name);
        if (!policy.MayHoldTags)
            return null;
        if (policy.KeepDeleted > TimeSpan.Zero)
            await ForgetAsync(RegistryLayout.DeletedAtUpstream(name, tag), cancellationToken);
        _reasons.Remove((name, tag));
        if (policy.Cooldown <= TimeSpan.Zero)
            return null;
        // The manifest that the tag names now counts as known from now on, so that the tag can move back to it later.
        var until = await FirstAsync(RegistryLayout.FirstSeen(name, current), cancellationToken) + policy.Cooldown;
        if (current == stored || until <= _time.GetUtcNow() || stored is null && !policy.HoldsNewTags)
            return null;
        if (stored is not null)
            Hold(name, tag, current, $"upstream has moved the tag to {current}, which will not be served before {Text(until)} (cooldown)");
        return until;
    }

    /// <summary>Lets tags move to a manifest at once.</summary>
    /// <exception cref="IOException">The store takes no writes; also as <see cref="UnauthorizedAccessException"/>.</exception>
    public async ValueTask ReleaseAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        await _dates.WriteAsync(RegistryLayout.FirstSeen(name, digest), DateTimeOffset.UnixEpoch, cancellationToken);
        foreach (var (held, tag) in _reasons.Keys.OfType<(RepositoryName, string)>())
            if (held.Equals(name) && _reasons.Get<Reason>((held, tag))?.MovesTo == digest)
                await _freshness.ForgetAsync(name, tag);
    }

    /// <summary>A date for people.</summary>
    internal static string Text(DateTimeOffset date) =>
        date.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    public void Dispose() => _reasons.Dispose();

    private void Hold(RepositoryName name, string tag, Digest? movesTo, string why)
    {
        _heldAny = true;
        _reasons.Set((name, tag), new Reason(why, movesTo), new MemoryCacheEntryOptions { Size = 1 });
    }

    private (int Kept, int Cooling) Count()
    {
        if (!_heldAny)
            return (0, 0);
        var reasons = _reasons.Keys.Select(key => _reasons.Get<Reason>(key)).OfType<Reason>().ToList();
        var cooling = reasons.Count(reason => reason.MovesTo is not null);
        return (reasons.Count - cooling, cooling);
    }

    private async ValueTask<DateTimeOffset> FirstAsync(string path, CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        try
        {
            if (await _dates.ReadAsync(path, cancellationToken) is { } noted)
                return noted;
            await _dates.WriteAsync(path, now, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            _writes.Failed($"the date {path}", failure);
        }
        return now;
    }

    private async ValueTask ForgetAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            if (await _dates.ReadAsync(path, cancellationToken) is not null)
                await _dates.DeleteAsync(path, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            _writes.Failed($"the date {path}", failure);
        }
    }

    private sealed record Reason(string Text, Digest? MovesTo);
}

/// <summary>A tag that was never seen before is refused until its manifest has been known for long enough (<c>cooldown_new:
/// hold</c>).</summary>
public sealed class NewTagHeldException(string message) : Exception(message);
