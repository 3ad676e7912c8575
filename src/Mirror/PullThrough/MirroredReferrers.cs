using System.Text.Json;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// What refers to the manifests of mirrored repositories: upstream's own list, else the tag that clients keep where a registry has none. What
/// upstream said holds as long as a tag does; that it could not be asked is never remembered.
/// </summary>
public sealed class MirroredReferrers(
    UpstreamClient upstream, MirroredManifests manifests, ManifestCache stored, IReferenceStore references, ProxyOptions proxy, TimeProvider time) : IDisposable
{
    private const long CacheBytes = 8 << 20;
    private const int EntryOverhead = 256;

    private readonly MemoryCache _lists = new(new MemoryCacheOptions { SizeLimit = CacheBytes });
    private readonly SingleFlight<(RepositoryName, Digest), Answer<IReadOnlyList<ReadOnlyMemory<byte>>>> _asking = new();

    /// <summary>The manifests that refer to <paramref name="subject"/>, in one page; empty where upstream knows of none.</summary>
    /// <param name="artifactType">The only type wanted; null for all.</param>
    public async ValueTask<Answer<ReferrerPage>> ListAsync(RepositoryName name, Digest subject, string? artifactType, CancellationToken cancellationToken)
    {
        var answer = _lists.TryGetValue((name, subject), out Known? known) && time.GetElapsedTime(known!.At) < proxy.TagsCacheTtl
            ? new(known.Descriptors, CacheStatus.Hit)
            : (await _asking.JoinOrStart((name, subject), stop => AskAsync(name, subject, stop), cancellationToken)).Result;
        return new(new ReferrerPage(Referrers.OfType(answer.Value, artifactType), null), answer.CacheStatus, answer.Stale);
    }

    public void Dispose() => _lists.Dispose();

    private async Task<Answer<IReadOnlyList<ReadOnlyMemory<byte>>>> AskAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken)
    {
        IReadOnlyList<ReadOnlyMemory<byte>> descriptors;
        try
        {
            descriptors = await upstream.GetReferrersAsync(name, subject, cancellationToken) is { } index ? Parse(index) : await TaggedAsync(name, subject, cancellationToken);
        }
        catch (UpstreamRefusedException)
        {
            descriptors = [];
        }
        catch (UpstreamException trouble)
        {
            // A signature that cannot be seen now is not one that does not exist: said to be stale, and asked for again the next time.
            return new(await StoredAsync(name, subject, cancellationToken), CacheStatus.Stale, trouble.Message);
        }
        _lists.Set((name, subject), new Known(descriptors, time.GetTimestamp()), new MemoryCacheEntryOptions { Size = EntryOverhead + descriptors.Sum(descriptor => (long)descriptor.Length) });
        return new(descriptors, CacheStatus.Miss);
    }

    private async Task<IReadOnlyList<ReadOnlyMemory<byte>>> TaggedAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken)
    {
        var answer = await manifests.GetAsync(name, Reference.Parse(Referrers.FallbackTag(subject)), cancellationToken);
        return Parse(answer.Value.Bytes);
    }

    private async Task<IReadOnlyList<ReadOnlyMemory<byte>>> StoredAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken) =>
        await references.ResolveTagAsync(name, Referrers.FallbackTag(subject), cancellationToken) is { } tagged
            && await stored.FindAsync(name, tagged, cancellationToken) is { } index
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
            throw new UpstreamUnavailableException($"{upstream.Origin.Name} answered something that is no list of referrers.", malformed);
        }
    }

    private sealed record Known(IReadOnlyList<ReadOnlyMemory<byte>> Descriptors, long At);
}
