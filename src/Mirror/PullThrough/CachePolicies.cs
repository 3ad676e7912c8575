using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// Which cache settings a repository has. All code asks here, so that settings by repository or by upstream need a change in this file
/// only. Today every repository has the settings of section <c>proxy</c>.
/// </summary>
public sealed class CachePolicies(LiveOptions live)
{
    private Compiled? _compiled;

    /// <summary>The settings in force now. Ask for each request, because they can be replaced. Allocates nothing.</summary>
    public CachePolicy Of(RepositoryName name)
    {
        var options = live.Current;
        if (_compiled is not { } compiled || compiled.Source != options)
            _compiled = compiled = new Compiled(options, Compile(options.Proxy));
        return compiled.Policy;
    }

    private static CachePolicy Compile(ProxyOptions proxy) => new(
        proxy.TagsCacheTtl, proxy.MaxStale, proxy.StaleWhileRevalidate, proxy.StaleAfter, proxy.FailFast, proxy.Hold,
        [.. proxy.ImmutableTags.Select(pattern => new NamePattern(pattern))]);

    private sealed record Compiled(MirrorOptions Source, CachePolicy Policy);
}

/// <summary>How long stored content of a repository is served unchecked, and how long clients wait for its upstream.</summary>
/// <param name="TagsCacheTtl">How long a checked tag is fresh; zero checks for each request (<c>proxy.tags_cache_ttl</c>).</param>
/// <param name="MaxStale">How long after its last check a tag may be served stale; null is for ever (<c>proxy.max_stale</c>).</param>
/// <param name="StaleWhileRevalidate">Whether a stale tag is served at once and checked in the background
/// (<c>proxy.stale_while_revalidate</c>).</param>
/// <param name="StaleAfter">How long a client waits for upstream if there is a stored copy (<c>proxy.stale_after</c>).</param>
/// <param name="FailFast">How long a client waits for upstream's first answer; null sets no limit (<c>proxy.fail_fast</c>).</param>
/// <param name="Hold">How long a request for missing content waits for an upstream that is away (<c>proxy.hold</c>).</param>
/// <param name="ImmutableTags">Tags that upstream never moves (<c>proxy.immutable_tags</c>).</param>
public sealed record CachePolicy(
    TimeSpan TagsCacheTtl, TimeSpan? MaxStale, bool StaleWhileRevalidate, TimeSpan StaleAfter, TimeSpan? FailFast, TimeSpan Hold,
    NamePattern[] ImmutableTags)
{
    private static readonly TimeSpan MaxMissingTtl = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long upstream's refusal is remembered. Not for long: content that does not exist may be about to be pushed. A mirror that checks
    /// its tags more often than that asks for missing ones as often.
    /// </summary>
    public TimeSpan MissingTtl => TagsCacheTtl < MaxMissingTtl ? TagsCacheTtl : MaxMissingTtl;

    /// <summary>Whether upstream never moves the tag.</summary>
    public bool IsImmutable(string tag) => NamePattern.AnyMatches(ImmutableTags, tag);
}
