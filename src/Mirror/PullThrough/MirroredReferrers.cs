using System.Text.Json;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// The referrers of manifests of mirrored repositories: from upstream's referrers API, or else from the fallback tag that clients maintain
/// if a registry has no such API. An answer of upstream is cached as long as a tag. A failure is not cached: then the server serves the
/// last answer, or the stored list.
/// </summary>
public sealed class MirroredReferrers(
    UpstreamClient upstream, MirroredManifests manifests, ManifestCache stored, IReferenceStore references, IReferrerStore pushed,
    CachePolicies policies, UpstreamDeadlines deadlines, TimeProvider time) : IDisposable
{
    private const long CacheBytes = 8 << 20;
    // The approximate memory of a list without its descriptors, and that of a descriptor without its bytes.
    private const int ListOverhead = 512;
    private const int EntryOverhead = 256;

    private readonly MemoryCache _lists = new(new MemoryCacheOptions { SizeLimit = CacheBytes });
    // What upstream says to one login is no answer for another one.
    private readonly SingleFlight<(RepositoryName, Digest, ActingClient?), Known> _fetches = new();

    /// <summary>A page of the manifests that refer to <paramref name="subject"/>; empty if upstream has none.</summary>
    /// <param name="artifactType">The only type wanted; null for all.</param>
    /// <param name="last">The last digest of the previous page; null for the first page.</param>
    public async ValueTask<Answer<ReferrerPage>> PageAsync(
        RepositoryName name, Digest subject, string? artifactType, Digest? last, CancellationToken cancellationToken)
    {
        var answer = await ListAsync(name, subject, cancellationToken);
        var rest = answer.Value.Descriptors.Where(entry => Referrers.IsAfter(entry.Key, last));
        var page = await Referrers.PageAsync(
            rest.Select(entry => (Digest.Parse(entry.Key), entry.Value)).ToAsyncEnumerable(), artifactType);
        return new(page, answer.CacheStatus, answer.Stale);
    }

    public void Dispose() => _lists.Dispose();

    private async ValueTask<Answer<Known>> ListAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken)
    {
        var known = Find(name, subject);
        if (known is not null && time.GetElapsedTime(known.At) < policies.Of(name).TagsCacheTtl)
            return new(known, CacheStatus.Hit);
        var fetch = _fetches.JoinOrStart(
            (name, subject, ActingClient.Current), stop => FetchAsync(name, subject, stop), CancellationToken.None);
        try
        {
            // If the subject is stored, clients can use it without upstream: they do not wait longer for its list than for the image.
            var (fetched, _) = await (known is null && await FindManifestAsync(name, subject, cancellationToken) is null
                ? deadlines.WaitForMissAsync(name, fetch, cancellationToken)
                : deadlines.WaitForRefreshAsync(name, fetch, cancellationToken));
            return new(fetched, fetched.Stale is null ? CacheStatus.Miss : CacheStatus.Stale, fetched.Stale);
        }
        catch (UpstreamException failure)
        {
            // Upstream may have a signature that this server cannot see now: mark the answer as stale, and ask upstream again at the next
            // request.
            return new(
                Find(name, subject) ?? await FindStoredAsync(name, subject, cancellationToken), CacheStatus.Stale, failure.Message);
        }
    }

    private Known? Find(RepositoryName name, Digest subject) => _lists.Get<Known>((name, subject));

    private async Task<Known> FetchAsync(RepositoryName name, Digest subject, CancellationToken stop)
    {
        Known known;
        try
        {
            var (pages, isStale) = await upstream.GetReferrersAsync(name, subject, stop);
            IReadOnlyList<ReadOnlyMemory<byte>> indexes = [.. pages];
            var stale = isStale ? upstream.WhyStale : null;
            if (pages.All(UpstreamAnswers.HasNoList))
                (indexes, stale) = await GetTaggedAsync(name, subject, isLacking: pages.Count == 0, stop);
            known = Parse(indexes) with { Stale = stale };
        }
        catch (UpstreamMissingException)
        {
            known = Parse([]);
        }
        catch (JsonException malformed)
        {
            throw new UpstreamUnavailableException($"{upstream.Origin.Name} sent a malformed list of referrers.", malformed);
        }
        // Only the store has a list of what clients pushed while the name was hosted.
        foreach (var referrer in await pushed.ListAsync(name, subject, stop))
            if (await pushed.ReadAsync(name, subject, referrer, stop) is { } descriptor)
                known.Descriptors[referrer.ToString()] = descriptor;
        var size = known.Descriptors.Sum(entry => EntryOverhead + (long)entry.Value.Length);
        if (known.Stale is null)
            _lists.Set((name, subject), known, new MemoryCacheEntryOptions { Size = ListOverhead + 2L * name.ToString().Length + size });
        return known;
    }

    /// <param name="isLacking">Whether upstream lacks the referrers API. Otherwise it answered for the referrers with something else than a
    /// list: then only the tag can tell that there are none.</param>
    private async Task<(IReadOnlyList<ReadOnlyMemory<byte>> Indexes, string? Stale)> GetTaggedAsync(
        RepositoryName name, Digest subject, bool isLacking, CancellationToken stop)
    {
        var tag = Reference.Parse(Referrers.FallbackTag(subject));
        try
        {
            var answer = await manifests.FindAsync(name, tag, stop) ?? await manifests.FetchAsync(name, tag, stop);
            return (IndexIn(answer.Value, subject), answer.Stale);
        }
        catch (UpstreamMissingException) when (!isLacking)
        {
            throw UpstreamRequest.OtherJson(upstream.Origin);
        }
    }

    private ValueTask<Manifest?> FindManifestAsync(RepositoryName name, Digest digest, CancellationToken stop) =>
        UnreadableException.SkipAsync(() => stored.FindAsync(name, digest, stop));

    private async Task<Known> FindStoredAsync(RepositoryName name, Digest subject, CancellationToken stop)
    {
        try
        {
            return Parse(
                await references.ResolveTagAsync(name, Referrers.FallbackTag(subject), stop) is { } tagged
                    && await stored.FindAsync(name, tagged, stop) is { } manifest ? IndexIn(manifest, subject) : []);
        }
        catch (JsonException)
        {
            return Parse([]);
        }
    }

    // The tag may name an image, or the subject itself: then there is no list under it.
    private static IReadOnlyList<ReadOnlyMemory<byte>> IndexIn(Manifest tagged, Digest subject) =>
        tagged.Descriptor.Digest != subject && ManifestDocument.Read(tagged.Bytes.Span) is { IsIndex: true } ? [tagged.Bytes] : [];

    private Known Parse(IEnumerable<ReadOnlyMemory<byte>> indexes)
    {
        var descriptors = new SortedDictionary<string, ReadOnlyMemory<byte>>(StringComparer.Ordinal);
        foreach (var descriptor in indexes.SelectMany(ManifestDocument.DescriptorsIn))
            if (ManifestDocument.DigestOf(descriptor) is { } digest)
                descriptors[digest.ToString()] = descriptor;
        return new Known(descriptors, time.GetTimestamp());
    }

    // By digest, in ordinal order. Stale says why upstream has not confirmed it; null where it has.
    private sealed record Known(SortedDictionary<string, ReadOnlyMemory<byte>> Descriptors, long At, string? Stale = null);
}
