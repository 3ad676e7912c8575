using System.Text.Json;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// What refers to the manifests of mirrored repositories: upstream's referrers API, else the fallback tag that clients maintain where a
/// registry has no such API. An answer of upstream is cached as long as a tag. A failure is not cached.
/// </summary>
public sealed class MirroredReferrers(
    UpstreamClient upstream, MirroredManifests manifests, ManifestCache stored, IReferenceStore references, CachePolicies policies,
    TimeProvider time) : IDisposable
{
    private const long CacheBytes = 8 << 20;
    private const int EntryOverhead = 256;

    private readonly MemoryCache _lists = new(new MemoryCacheOptions { SizeLimit = CacheBytes });
    private readonly SingleFlight<(RepositoryName, Digest), Answer<IReadOnlyList<ReadOnlyMemory<byte>>>> _fetches = new();

    /// <summary>The manifests that refer to <paramref name="subject"/>, in one page; empty where upstream knows of none.</summary>
    /// <param name="artifactType">The only type wanted; null for all.</param>
    public async ValueTask<Answer<ReferrerPage>> ListAsync(
        RepositoryName name, Digest subject, string? artifactType, CancellationToken cancellationToken)
    {
        var ttl = policies.Of(name).TagsCacheTtl;
        var answer = _lists.TryGetValue((name, subject), out Known? known) && time.GetElapsedTime(known!.At) < ttl
            ? new(known.Descriptors, CacheStatus.Hit)
            : (await _fetches.JoinOrStart((name, subject), stop => FetchAsync(name, subject, stop), cancellationToken)).Result;
        return new(new ReferrerPage(Referrers.OfType(answer.Value, artifactType), null), answer.CacheStatus, answer.Stale);
    }

    public void Dispose() => _lists.Dispose();

    private async Task<Answer<IReadOnlyList<ReadOnlyMemory<byte>>>> FetchAsync(RepositoryName name, Digest subject, CancellationToken stop)
    {
        IReadOnlyList<ReadOnlyMemory<byte>> descriptors;
        try
        {
            descriptors = await upstream.GetReferrersAsync(name, subject, stop) is { } index
                ? Parse(index)
                : await GetTaggedAsync(name, subject, stop);
        }
        catch (UpstreamRefusedException)
        {
            descriptors = [];
        }
        catch (UpstreamException failure)
        {
            // A signature may exist that cannot be seen now: mark the answer as stale, and ask again the next time.
            return new(await FindStoredAsync(name, subject, stop), CacheStatus.Stale, failure.Message);
        }
        var size = EntryOverhead + descriptors.Sum(descriptor => (long)descriptor.Length);
        _lists.Set((name, subject), new Known(descriptors, time.GetTimestamp()), new MemoryCacheEntryOptions { Size = size });
        return new(descriptors, CacheStatus.Miss);
    }

    private async Task<IReadOnlyList<ReadOnlyMemory<byte>>> GetTaggedAsync(RepositoryName name, Digest subject, CancellationToken stop)
    {
        var tag = Reference.Parse(Referrers.FallbackTag(subject));
        var answer = await manifests.FindAsync(name, tag, stop) ?? await manifests.FetchAsync(name, tag, stop);
        return Parse(answer.Value.Bytes);
    }

    private async Task<IReadOnlyList<ReadOnlyMemory<byte>>> FindStoredAsync(RepositoryName name, Digest subject, CancellationToken stop) =>
        await references.ResolveTagAsync(name, Referrers.FallbackTag(subject), stop) is { } tagged
            && await stored.FindAsync(name, tagged, stop) is { } index
            ? Parse(index.Bytes)
            : [];

    private IReadOnlyList<ReadOnlyMemory<byte>> Parse(ReadOnlyMemory<byte> index)
    {
        try
        {
            return ManifestDocument.DescriptorsIn(index);
        }
        catch (JsonException malformed)
        {
            throw new UpstreamUnavailableException($"{upstream.Origin.Name} sent a malformed list of referrers.", malformed);
        }
    }

    private sealed record Known(IReadOnlyList<ReadOnlyMemory<byte>> Descriptors, long At);
}
