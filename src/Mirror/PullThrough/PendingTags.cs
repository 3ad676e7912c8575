using Microsoft.Extensions.Caching.Memory;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// Tags that upstream moved to a manifest we do not have yet. Docker asks HEAD by tag and then GET by digest: the tag moves here once that
/// manifest is stored, and not before, so that it never names what we cannot serve.
/// </summary>
public sealed class PendingTags : IDisposable
{
    private const int MaxTags = 100_000;

    private readonly MemoryCache _tags = new(new MemoryCacheOptions { SizeLimit = MaxTags });
    private readonly Lock _gate = new();

    /// <summary>The tag will name this digest as soon as it is stored.</summary>
    public void Add(RepositoryName name, string tag, Digest digest)
    {
        lock (_gate)
        {
            if (_tags.TryGetValue((name, digest), out string[]? tags) && tags!.Contains(tag))
                return;
            string[] more = [.. tags ?? [], tag];
            _tags.Set((name, digest), more, new MemoryCacheEntryOptions { Size = more.Length });
        }
    }

    /// <summary>The tags that waited for this digest; they wait no longer.</summary>
    public IReadOnlyList<string> Take(RepositoryName name, Digest digest)
    {
        lock (_gate)
        {
            if (!_tags.TryGetValue((name, digest), out string[]? tags))
                return [];
            _tags.Remove((name, digest));
            return tags!;
        }
    }

    public void Dispose() => _tags.Dispose();
}
