using System.Globalization;
using Mirror.Storage;

namespace Mirror.Fleet;

/// <summary>
/// What the replicas of one store share for evictions: the size of the mirrored content, and when images were pulled. No method throws.
/// Without Redis each replica knows only its own values.
/// </summary>
/// <param name="redis">Null where there are no other replicas.</param>
public sealed class CacheUsage(RedisKeys keys, TimeProvider time, RedisGuard? redis = null)
{
    // A limit, because clients choose the names. The oldest pulls are removed first.
    private const int MaxPulls = 100_000;

    // More blobs than replicas store at once, and longer than that takes.
    private const int MaxReserved = 10_000;
    private static readonly TimeSpan ReservedLife = TimeSpan.FromMinutes(15);

    private static readonly TimeSpan Life = TimeSpan.FromDays(365);

    // The clocks of replicas differ, and a replica writes its pulls up to 10 s later.
    private static readonly TimeSpan Overlap = TimeSpan.FromMinutes(5);

    // A replica tells of a blob again while it is being read, and a client that was sent to the bucket begins within seconds.
    private static readonly TimeSpan ReadWithin = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ReadingsLife = TimeSpan.FromMinutes(1);
    // The notes of a replica that died in an eviction.
    private static readonly TimeSpan DeletingLife = TimeSpan.FromMinutes(1);

    private static readonly Task<long?> Unknown = Task.FromResult<long?>(null);

    // Since when Redis answers no question about deletions; null while it does.
    private long? _silentSince;
    private DateTimeOffset _read = DateTimeOffset.UnixEpoch;

    /// <summary>Whether there may be other replicas.</summary>
    public bool IsShared => redis is not null;

    /// <summary>
    /// Adds bytes to the sum of all replicas, and returns the new sum; null if no replica has measured yet, or if Redis does not answer.
    /// </summary>
    public Task<long?> AddBytesAsync(long bytes) => redis?.AddAsync(keys.CacheBytes, bytes) ?? Unknown;

    /// <summary>The sum of all replicas; null as for <see cref="AddBytesAsync"/>.</summary>
    public Task<long?> BytesAsync() => AddBytesAsync(0);

    /// <summary>Tells the other replicas that a blob is about to be stored. The sum has its bytes already, and no measurement finds it
    /// yet.</summary>
    public async ValueTask ReservingAsync(Digest digest, long bytes)
    {
        if (redis is not null)
            await redis.AddDatesAsync(
                keys.CacheReserved, [($"{digest} {bytes}", time.GetUtcNow().ToUnixTimeMilliseconds())], MaxReserved, ReservedLife);
    }

    /// <summary>Ends what <see cref="ReservingAsync"/> told: the blob is stored, or it will not be.</summary>
    public async ValueTask UnreserveAsync(Digest digest, long bytes)
    {
        if (redis is not null)
            await redis.RemoveDateAsync(keys.CacheReserved, $"{digest} {bytes}");
    }

    /// <summary>The blobs that replicas are storing now.</summary>
    public async ValueTask<IReadOnlyList<(Digest Digest, long Bytes)>> ReservedAsync()
    {
        // A replica that died has left its own.
        var from = (time.GetUtcNow() - ReservedLife).ToUnixTimeMilliseconds();
        if (redis is null || await redis.DatesSinceAsync(keys.CacheReserved, from, MaxReserved) is not { } entries)
            return [];
        List<(Digest, long)> reserved = [];
        foreach (var (text, _) in entries)
            if (text.Split(' ') is [var name, var size] && Digest.TryParse(name, out var digest)
                && long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes))
                reserved.Add((digest, bytes));
        return reserved;
    }

    /// <summary>Tells the other replicas that a client is about to read a blob.</summary>
    /// <returns>False if another replica is deleting it; null if Redis does not answer.</returns>
    public async ValueTask<bool?> ReadingAsync(Digest digest) =>
        redis is null ? true : await redis.ReadingAsync(keys.Reading(digest), keys.Deleting(digest), ReadingsLife);

    /// <summary>Tells the other replicas that blobs are about to be deleted. They send no client to them until
    /// <see cref="DeletedAsync"/>.</summary>
    /// <returns>False if a client may be reading one of them.</returns>
    public async ValueTask<bool> DeletingAsync(IReadOnlyCollection<Digest> digests)
    {
        if (redis is null || digests.Count == 0)
            return true;
        var mayDelete = await redis.DeletingAsync(
            (digests.Select(keys.Reading), ReadingsLife), digests.Select(keys.Deleting), ReadWithin, DeletingLife);
        _silentSince = mayDelete is null ? _silentSince ?? time.GetTimestamp() : null;
        // Without Redis no replica sends clients to the bucket. Those that were sent there before have begun to read after this time.
        return mayDelete ?? time.GetElapsedTime(_silentSince!.Value) >= ReadWithin;
    }

    public async ValueTask DeletedAsync(IReadOnlyCollection<Digest> digests)
    {
        if (redis is not null && digests.Count > 0)
            await redis.DeletedAsync(digests.Select(keys.Deleting));
    }

    /// <summary>Corrects the sum after a measurement of the store.</summary>
    /// <param name="before">The sum at the start of the measurement. The correction is <c>bytes - before</c>, so it keeps the bytes that
    /// were added meanwhile.</param>
    /// <returns>The new sum; null if it is not known.</returns>
    public async ValueTask<long?> MeasuredAsync(long bytes, long? before)
    {
        if (redis is null)
            return null;
        if (before is { } known && await AddBytesAsync(bytes - known) is { } sum)
            return sum;
        return await redis.SetIfAbsentAsync(keys.CacheBytes, bytes.ToString(CultureInfo.InvariantCulture), Life) is true
            ? bytes
            : await BytesAsync();
    }

    /// <summary>Tells the other replicas of pulls, many at once.</summary>
    public async ValueTask AddPullsAsync(IReadOnlyList<(RepositoryName Name, Reference Reference, long Pulls, DateTimeOffset Last)> pulls)
    {
        if (redis is not null && pulls.Count > 0)
            await redis.AddDatesAsync(
                keys.Pulls, [.. pulls.Select(pull => ($"{pull.Name} {pull.Reference}", pull.Last.ToUnixTimeMilliseconds()))], MaxPulls,
                Life);
    }

    /// <summary>The pulls that replicas wrote since the previous call. For one caller at a time.</summary>
    public async ValueTask<IReadOnlyList<(RepositoryName Name, Reference Reference, long Pulls, DateTimeOffset Last)>> PullsAsync()
    {
        if (redis is null)
            return [];
        var now = time.GetUtcNow();
        if (await redis.DatesSinceAsync(keys.Pulls, (_read - Overlap).ToUnixTimeMilliseconds(), MaxPulls) is not { } entries)
            return [];
        _read = now;
        List<(RepositoryName, Reference, long, DateTimeOffset)> pulls = [];
        foreach (var (text, at) in entries)
            if (Parse(text, at, now) is var (name, reference, last))
                pulls.Add((name, reference, 0, last));
        return pulls;
    }

    // Another program may have written anything.
    internal static (RepositoryName Name, Reference Reference, DateTimeOffset Last)? Parse(string text, long at, DateTimeOffset now) =>
        text.Split(' ') is [var repository, var named] && RepositoryName.TryParse(repository, out var name)
            && Reference.TryParse(named, out var reference) && at > 0 && at <= now.AddDays(1).ToUnixTimeMilliseconds()
            ? (name, reference, DateTimeOffset.FromUnixTimeMilliseconds(at))
            : null;
}
