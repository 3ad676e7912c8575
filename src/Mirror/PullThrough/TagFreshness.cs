using System.Globalization;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Fleet;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// Which manifest each tag named when this replica or another one last checked it, and when the check was.
/// </summary>
/// <remarks>
/// This is only a cache. If an entry is lost, the server asks upstream once more. Until then, <c>proxy.max_stale</c> is measured as if the
/// tag had been checked when this process started.
/// <para>
/// If another replica changes a tag, the next request for this tag causes a check. If messages of other replicas may have been lost, the
/// next request for each tag causes a check. The time of the last check stays known: while upstream is unavailable, <c>proxy.max_stale</c>
/// still counts from it.
/// </para>
/// </remarks>
public sealed class TagFreshness : IDisposable
{
    private const int MaxTags = 100_000;
    private const string Kind = "tag";
    // A value that Check.LossesAtCheck never has while the check counts.
    private const int NeverFresh = -1;

    /// <summary>
    /// How long Redis keeps a pending tag: one that moves when its manifest is stored (see <see cref="MirroredTags"/>). Redis keeps the
    /// result of a check for at least this time: to move a pending tag, a replica that has no check of the tag in its own memory needs this
    /// result.
    /// </summary>
    public static readonly TimeSpan PendingLife = TimeSpan.FromMinutes(10);

    // How far another replica's clock may be ahead of ours.
    private static readonly TimeSpan MaxClockSkew = TimeSpan.FromSeconds(5);

    private readonly CachePolicies _policies;
    private readonly FleetCache _shared;
    private readonly Announcements _announcements;
    private readonly TimeProvider _time;
    private readonly MemoryCache _checks = new(new MemoryCacheOptions { SizeLimit = MaxTags });
    private readonly long _started;
    // Grows each time that messages of other replicas may have been lost. A check that was made before it last grew does not count as
    // fresh.
    private int _losses;
    // How often a tag was forgotten.
    private long _forgotten;

    public TagFreshness(CachePolicies policies, FleetCache shared, Announcements announcements, TimeProvider time)
    {
        (_policies, _shared, _announcements, _time, _started) = (policies, shared, announcements, time, time.GetTimestamp());
        announcements.TagChanged += ForgetLocally;
        announcements.MessagesMayBeLost += () => Interlocked.Increment(ref _losses);
    }

    /// <summary>The manifest that the tag names, if this replica knows of a check within <c>proxy.tags_cache_ttl</c>; else null.</summary>
    public Descriptor? FindFresh(RepositoryName name, string tag) =>
        Find(name, tag) is { IsStale: false } check && IsCertain(check) && _time.GetElapsedTime(check.At) < _policies.Of(name).TagsCacheTtl
            ? check.Descriptor
            : null;

    /// <summary>
    /// Whether the last check that is known, of this replica or another one, found that the tag names this manifest. The check need not be
    /// fresh. False if the tag may have changed since.
    /// </summary>
    public async ValueTask<bool> LastCheckFoundAsync(RepositoryName name, string tag, Digest digest)
    {
        if (FindFresh(name, tag) is { } known)
            return known.Digest == digest;
        var last = await FindSharedAsync(name, tag, PendingLife);
        // Redis may have lost the check of this replica.
        if (Find(name, tag) is { } own && IsCertain(own) && (last is null || _time.GetElapsedTime(last.At, own.At) > MaxClockSkew))
            last = own;
        return last?.Descriptor.Digest == digest;
    }

    /// <summary>
    /// True if the last check found this manifest, and this replica has not yet made sure that the stored tag names it. If it returns true,
    /// the caller must update the stored tag: further calls return false until a new check, or until <see cref="ReopenTagUpdate"/>.
    /// </summary>
    public bool TakeTagUpdate(RepositoryName name, string tag, Digest digest) =>
        Find(name, tag) is { } check && check.Descriptor.Digest == digest && !Interlocked.Exchange(ref check.IsTagUpdateTaken, true);

    /// <summary>Notes that the stored tag could not be updated, because the manifest is not stored. Then <see cref="TakeTagUpdate"/>
    /// returns true once more.</summary>
    public void ReopenTagUpdate(RepositoryName name, string tag)
    {
        if (Find(name, tag) is { } check)
            Volatile.Write(ref check.IsTagUpdateTaken, false);
    }

    /// <summary>How long ago the tag was last checked; null where this replica does not know of a check, or the tag may have changed
    /// since.</summary>
    public TimeSpan? SinceCheck(RepositoryName name, string tag) =>
        Find(name, tag) is { CheckedAt: { } at } check && IsCertain(check) ? _time.GetElapsedTime(at) : null;

    /// <summary>The manifest that the tag names, if any replica knows of a check within <c>proxy.tags_cache_ttl</c>; else null.</summary>
    public async ValueTask<Descriptor?> FindFreshInFleetAsync(RepositoryName name, string tag)
    {
        if (FindFresh(name, tag) is { } known)
            return known;
        var ttl = _policies.Of(name).TagsCacheTtl;
        if (ttl == TimeSpan.Zero || await FindSharedAsync(name, tag, ttl) is not { } check)
            return null;
        Set(name, tag, check);
        return FindFresh(name, tag);
    }

    /// <summary>Whether a tag may be served while upstream is unavailable (<c>proxy.max_stale</c>), by its <see cref="Age"/>.</summary>
    public bool MayBeServedStale(RepositoryName name, string tag) =>
        _policies.Of(name).MaxStale is not { } maxStale || Age(name, tag) <= maxStale;

    /// <summary>
    /// The time since upstream's last answer about the tag, as far as this replica remembers. A tag without a remembered check counts as
    /// checked when this process started.
    /// </summary>
    public TimeSpan Age(RepositoryName name, string tag) =>
        _time.GetElapsedTime(Find(name, tag)?.CheckedAt ?? _started);

    /// <summary>Records a check of a tag, for all replicas: which manifest the tag names. For a tag that <c>keep_deleted</c> or
    /// <c>cooldown</c> holds, this is the stored manifest, and not the one that the tag names at upstream.</summary>
    /// <param name="moved">Whether the stored tag named another manifest before this check.</param>
    public async ValueTask RecordCheckAsync(RepositoryName name, string tag, Descriptor descriptor, bool moved)
    {
        Set(name, tag, new(descriptor, _time.GetTimestamp(), Volatile.Read(ref _losses)));
        var ttl = _policies.Of(name).TagsCacheTtl;
        await _shared.RememberAsync(Kind, Key(name, tag), Format(descriptor), ttl > PendingLife ? ttl : PendingLife);
        if (moved)
            await _announcements.TagChangedAsync(name, tag);
    }

    /// <summary>
    /// Records the manifest of a stale answer: upstream is a mirror, too, and could not ask its own upstream about the tag. This is no
    /// check: the tag does not become fresh, and its age stays.
    /// </summary>
    public void RecordStale(RepositoryName name, string tag, Descriptor descriptor) =>
        Set(name, tag, new(descriptor, _time.GetTimestamp(), Volatile.Read(ref _losses))
        {
            IsStale = true,
            CheckedAt = Find(name, tag)?.CheckedAt,
        });

    /// <summary>Forgets a tag in all replicas, because what it names is not certain any more: it was deleted here or at upstream, or
    /// <c>mirror release</c> ended its cooldown.</summary>
    public async ValueTask ForgetAsync(RepositoryName name, string tag)
    {
        ForgetLocally(name, tag);
        await _shared.ForgetAsync(Kind, Key(name, tag));
        await _announcements.TagChangedAsync(name, tag);
    }

    public void Dispose() => _checks.Dispose();

    private static string Key(RepositoryName name, string tag) => $"{name}:{tag}";

    private void ForgetLocally(RepositoryName name, string tag)
    {
        Interlocked.Increment(ref _forgotten);
        if (Find(name, tag) is { } check)
            Set(name, tag, check with { LossesAtCheck = NeverFresh });
    }

    // The last check that a replica shared, if it is younger than maxAge; else null.
    private async ValueTask<Check?> FindSharedAsync(RepositoryName name, string tag, TimeSpan maxAge)
    {
        var (forgotten, losses) = (Volatile.Read(ref _forgotten), Volatile.Read(ref _losses));
        if (await _shared.FindAsync(Kind, Key(name, tag)) is not { } text
            || Parse(text, maxAge, _time.GetUtcNow()) is not var (descriptor, age))
            return null;
        // Another replica may have moved the tag after Redis sent the answer. So drop the answer if a message about a tag came meanwhile,
        // or if messages may have been lost.
        return forgotten == Volatile.Read(ref _forgotten) && losses == Volatile.Read(ref _losses)
            ? new(descriptor, _time.GetTimestamp() - (long)(age.TotalSeconds * _time.TimestampFrequency), losses)
            : null;
    }

    private Check? Find(RepositoryName name, string tag) => _checks.Get<Check>((name, tag));

    private void Set(RepositoryName name, string tag, Check check) =>
        _checks.Set((name, tag), check, new MemoryCacheEntryOptions { Size = 1 });

    private bool IsCertain(Check check) => check.LossesAtCheck == Volatile.Read(ref _losses);

    // "<Unix time in ms> <digest> <size> <media type>"
    private string Format(Descriptor descriptor) => string.Create(
        CultureInfo.InvariantCulture,
        $"{_time.GetUtcNow().ToUnixTimeMilliseconds()} {descriptor.Digest} {descriptor.Size} {descriptor.MediaType}");

    internal static (Descriptor Descriptor, TimeSpan Age)? Parse(string text, TimeSpan maxAge, DateTimeOffset now)
    {
        if (text.Split(' ', 4) is not [var at, var named, var length, not "" and var mediaType]
            || !long.TryParse(at, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds)
            || !Digest.TryParse(named, out var digest)
            || !long.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out var size))
            return null;
        var age = now.ToUnixTimeMilliseconds() - milliseconds;
        return age < -MaxClockSkew.TotalMilliseconds || age >= maxAge.TotalMilliseconds
            ? null
            : (new Descriptor(mediaType, digest, size), TimeSpan.FromMilliseconds(age));
    }

    // At is when upstream answered. LossesAtCheck is the value of _losses then, or NeverFresh if the check does not count any more.
    private sealed record Check(Descriptor Descriptor, long At, int LossesAtCheck)
    {
        // Whether upstream is a mirror that marked this answer as stale.
        public bool IsStale { get; init; }

        // When upstream last gave an answer that was not stale; null if it gave none.
        public long? CheckedAt { get; init; } = At;

        // Whether a caller of TakeTagUpdate has taken over the update of the stored tag: then no other caller has to do it.
        public bool IsTagUpdateTaken;
    }
}
