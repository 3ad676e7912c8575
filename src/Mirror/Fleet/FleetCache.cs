using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Fleet;

/// <summary>
/// The small facts that replicas share in Redis. A replica checks each value that it reads: a manifest by its digest, every other fact by
/// its seal, which needs <c>http.secret</c>. Replicas never share permissions.
/// </summary>
/// <param name="redis">Null where Redis is not configured: nothing is shared then.</param>
public sealed class FleetCache(FleetKeys fleetKeys, SealedText seal, RedisKeys keys, FleetMetrics metrics, RedisGuard? redis = null)
{
    // Larger manifests are rare, and the store has them.
    private const int MaxManifestBytes = 256 * 1024;

    private static readonly TimeSpan ManifestLife = TimeSpan.FromHours(24);

    // Without http.secret the other replicas could not open the seal.
    private readonly RedisGuard? _sealed = fleetKeys.IsShared ? redis : null;

    /// <summary>The bytes of a manifest; null where no replica shared it, or Redis does not answer.</summary>
    public async ValueTask<byte[]?> ManifestAsync(Digest digest)
    {
        if (redis is null)
            return null;
        var bytes = await redis.GetAsync(RedisKeys.Manifest(digest));
        var good = bytes is { Length: > 0 and <= MaxManifestBytes } && Digest.Of(bytes, digest.Algorithm) == digest;
        metrics.LookedUp(good);
        return good ? bytes : null;
    }

    /// <summary>Shares a verified manifest, in the background.</summary>
    public void RememberManifest(Digest digest, ReadOnlyMemory<byte> bytes)
    {
        if (redis is not null && bytes.Length <= MaxManifestBytes)
            _ = redis.SetAsync(RedisKeys.Manifest(digest), bytes.ToArray(), ManifestLife);
    }

    /// <summary>A name for a fact, made of parts that a reader of Redis must not learn, such as a credential.</summary>
    public string NameOf(params ReadOnlySpan<string> parts) => _sealed is null ? "" : fleetKeys.Name(parts);

    /// <summary>
    /// A fact that a replica of this fleet shared; null where there is none, or its seal is wrong, or Redis does not answer.
    /// </summary>
    public async ValueTask<string?> FindAsync(string kind, string name)
    {
        if (_sealed is null)
            return null;
        var key = keys.Fact(kind, name);
        var good = seal.TryOpen(key, await _sealed.GetAsync(key), out var text);
        metrics.LookedUp(good);
        return good ? text : null;
    }

    /// <summary>Shares a fact for this long. A life under one second shares nothing.</summary>
    public async ValueTask RememberAsync(string kind, string name, string text, TimeSpan life)
    {
        var key = _sealed is null ? "" : keys.Fact(kind, name);
        if (_sealed is not null)
            await _sealed.SetAsync(key, seal.Seal(key, text), life);
    }

    /// <summary>Takes a fact back.</summary>
    public async ValueTask ForgetAsync(string kind, string name)
    {
        if (_sealed is not null)
            await _sealed.RemoveAsync(keys.Fact(kind, name));
    }
}
