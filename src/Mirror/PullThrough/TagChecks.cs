using Microsoft.Extensions.Caching.Memory;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// What upstream last said a tag names, and when. Only a memory: forgetting costs one question to upstream.
/// </summary>
public sealed class TagChecks(ProxyOptions proxy, TimeProvider time) : IDisposable
{
    private const int MostTags = 100_000;

    private readonly MemoryCache _checks = new(new MemoryCacheOptions { SizeLimit = MostTags });
    private readonly long _started = time.GetTimestamp();

    /// <summary>What the tag names, if upstream said so within <c>proxy.tags_cache_ttl</c>.</summary>
    public Descriptor? Fresh(RepositoryName name, string tag) =>
        _checks.TryGetValue((name, tag), out Check? check) && time.GetElapsedTime(check!.At) < proxy.TagsCacheTtl ? check.Descriptor : null;

    /// <summary>Whether a tag may still be served unchecked (<c>proxy.max_stale</c>). A check that is not remembered counts from the start.</summary>
    public bool MayBeServedStale(RepositoryName name, string tag) =>
        proxy.MaxStale is not { } longest
        || time.GetElapsedTime(_checks.TryGetValue((name, tag), out Check? check) ? check!.At : _started) <= longest;

    /// <summary>Upstream just said that the tag names this.</summary>
    public void Checked(RepositoryName name, string tag, Descriptor descriptor) =>
        _checks.Set((name, tag), new Check(descriptor, time.GetTimestamp()), new MemoryCacheEntryOptions { Size = 1 });

    public void Forget(RepositoryName name, string tag) => _checks.Remove((name, tag));

    public void Dispose() => _checks.Dispose();

    private sealed record Check(Descriptor Descriptor, long At);
}
