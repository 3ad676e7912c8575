using System.Collections.Concurrent;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// The lists of tags of one upstream. When a client requests the first page, the server fetches the whole list from upstream, once for all
/// clients that wait for it. The other pages come from the same list, for <c>proxy.tags_cache_ttl</c>. While upstream sends no list, or
/// not within <c>proxy.stale_after</c>, the server serves the last one, or else lists the stored tags.
/// </summary>
public sealed class MirroredTagLists(
    UpstreamClient upstream, IReferenceStore references, IProvenanceStore provenance, UpstreamDeadlines deadlines, CachePolicies policies,
    TimeProvider time)
    : IDisposable
{
    private const long CacheBytes = 32 << 20;
    // The approximate memory of an entry without its tags: an upstream may send an empty list for any name that clients make up.
    private const int EntryOverhead = 512;
    // An object's header and the reference to it.
    private const int TagOverhead = 32;

    private readonly MemoryCache _lists = new(new MemoryCacheOptions { SizeLimit = CacheBytes });
    // What upstream says to one login is no answer for another one.
    private readonly SingleFlight<(RepositoryName, ActingClient?), UpstreamAnswer<string[]>> _fetches = new();
    // How many pages each running fetch has.
    private readonly ConcurrentDictionary<(RepositoryName, ActingClient?), int> _pages = new();

    /// <summary>One page of a repository's tags in ordinal order.</summary>
    /// <param name="count">How many at most; null for all.</param>
    /// <param name="last">The last tag of the previous page; null for the first page.</param>
    /// <exception cref="UpstreamMissingException">Upstream has no such repository.</exception>
    /// <exception cref="UpstreamException">Upstream gives no list, none is in memory, and no tag of the repository is stored.</exception>
    public async ValueTask<Answer<TagPage>> PageAsync(RepositoryName name, int? count, string? last, CancellationToken cancellationToken)
    {
        if (last is not null && _lists.Get<Known>(name) is { } fresh && time.GetElapsedTime(fresh.At) < policies.Of(name).TagsCacheTtl)
            return new(TagPages.Page(fresh.Tags, count, last), CacheStatus.Hit);
        var key = (name, ActingClient.Current);
        var begun = time.GetTimestamp();
        var fetch = _fetches.JoinOrStart(key, stop => FetchAsync(key, stop), CancellationToken.None);
        try
        {
            return Answer(await deadlines.WaitForRefreshAsync(name, fetch, cancellationToken, () => _pages.GetValueOrDefault(key)));
        }
        catch (UpstreamException failure) when (failure is not UpstreamMissingException)
        {
            if (_lists.Get<Known>(name) is { } known)
                return new(TagPages.Page(known.Tags, count, last), CacheStatus.Stale, failure.Message);
            var isSlow = !fetch.IsCompleted;
            // A repository may be stored without a tag. Its empty list is no answer as long as upstream's may come.
            if (await references.PageOfTagsAsync(name, count, last, cancellationToken) is { } stored
                && (!isSlow || last is not null || stored.Tags.Count > 0))
                return new Answer<TagPage>(stored, CacheStatus.Stale, failure.Message);
            if (!isSlow)
                throw;
        }
        return Answer(await deadlines.WaitForMissAsync(name, fetch, cancellationToken, time.GetElapsedTime(begun)));

        Answer<TagPage> Answer((UpstreamAnswer<string[]> Result, bool Joined) fetched) =>
            fetched.Result is var (tags, isStale) && isStale
                ? new(TagPages.Page(tags, count, last), CacheStatus.Stale, upstream.WhyStale)
                : new(TagPages.Page(tags, count, last), fetched.Joined ? CacheStatus.Joined : CacheStatus.Miss);
    }

    public void Dispose() => _lists.Dispose();

    private async Task<UpstreamAnswer<string[]>> FetchAsync((RepositoryName Name, ActingClient?) key, CancellationToken stop)
    {
        var name = key.Name;
        var pushed = await PushedAsync(name, stop);
        string[] tags;
        var isStale = false;
        try
        {
            (tags, isStale) = await upstream.ListTagsAsync(name, pages => _pages[key] = pages, stop);
        }
        catch (UpstreamMissingException) when (pushed.Count > 0)
        {
            tags = [];
        }
        catch (UpstreamMissingException)
        {
            _lists.Remove(name);
            throw;
        }
        finally
        {
            _pages.TryRemove(key, out _);
        }
        if (pushed.Count > 0)
            tags = [.. tags.Union(pushed).Order(StringComparer.Ordinal)];
        if (!isStale)
            _lists.Set(name, new Known(tags, time.GetTimestamp()), new MemoryCacheEntryOptions { Size = SizeOf(name, tags) });
        return new(tags, isStale);
    }

    /// <summary>About how many bytes of memory a list takes.</summary>
    internal static long SizeOf(RepositoryName name, string[] tags) =>
        EntryOverhead + 2L * name.ToString().Length + tags.Sum(tag => TagOverhead + 2L * tag.Length);

    // Tags that clients pushed while the name was hosted. The server still serves them.
    private async Task<List<string>> PushedAsync(RepositoryName name, CancellationToken stop)
    {
        var marked = await provenance.ListAsync(name, Provenance.Pushed, stop).ToHashSetAsync(cancellationToken: stop);
        List<string> pushed = [];
        foreach (var tag in marked.Count > 0 ? await UnreadableException.SkipAsync(() => references.ListTagsAsync(name, stop)) ?? [] : [])
            if (await UnreadableException.SkipAsync(() => references.ResolveTagAsync(name, tag, stop)) is { } named
                && marked.Contains(named))
                pushed.Add(tag);
        return pushed;
    }

    private sealed record Known(string[] Tags, long At);
}
