using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Fleet;

/// <summary>
/// The small facts that replicas tell each other by <see cref="RedisGuard"/>. What is read is checked, never trusted: a manifest by its digest,
/// everything else by a seal that only holders of <c>http.secret</c> can make, and only for that place. Who may see what is not among them.
/// </summary>
/// <param name="memory">Null where nothing is shared.</param>
public sealed class FleetCache(FleetSecret secret, RegistryMetrics metrics, RedisGuard? memory = null)
{
    private const string Prefix = "mirror:1:";
    // Larger ones are rare, and the store has them.
    private const int MaxManifest = 256 * 1024;

    private static readonly TimeSpan ManifestLife = TimeSpan.FromHours(24);

    /// <summary>The bytes that a digest names; null where they are not shared.</summary>
    public async ValueTask<byte[]?> ManifestAsync(Digest digest)
    {
        if (memory is null)
            return null;
        var bytes = await memory.GetAsync(ManifestKey(digest));
        var good = bytes is { Length: > 0 and <= MaxManifest } && Digest.Of(bytes, digest.Algorithm) == digest;
        metrics.RecordCacheLookup(good);
        return good ? bytes : null;
    }

    /// <summary>Shares a verified manifest. Nobody waits for it.</summary>
    public void RememberManifest(Digest digest, ReadOnlyMemory<byte> bytes)
    {
        if (memory is not null && bytes.Length <= MaxManifest)
            _ = memory.SetAsync(ManifestKey(digest), bytes.ToArray(), ManifestLife);
    }

    /// <summary>A name for what must not be told, such as a credential, from all that makes it what it is.</summary>
    public string NameOf(params ReadOnlySpan<string> parts) => memory is null ? "" : secret.Name(parts);

    /// <summary>A fact that a replica shared; null where there is none, or none that can be believed.</summary>
    public async ValueTask<string?> FindAsync(string kind, string name)
    {
        if (memory is null || !secret.IsShared)
            return null;
        var key = Key(kind, name);
        var good = secret.TryOpen(key, await memory.GetAsync(key), out var text);
        metrics.RecordCacheLookup(good);
        return good ? text : null;
    }

    public async ValueTask RememberAsync(string kind, string name, string text, TimeSpan life)
    {
        if (memory is null || !secret.IsShared)
            return;
        var key = Key(kind, name);
        await memory.SetAsync(key, secret.Seal(key, text), life);
    }

    public async ValueTask ForgetAsync(string kind, string name)
    {
        if (memory is not null && secret.IsShared)
            await memory.RemoveAsync(Key(kind, name));
    }

    private static string ManifestKey(Digest digest) => Key("manifest", digest.ToString());

    private static string Key(string kind, string name) => $"{Prefix}{kind}:{name}";
}
