using System.Collections.Concurrent;
using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// Which settings a mirrored repository has. All code asks this class. An upstream's own <c>policies</c> come first, then those of
/// <c>proxy</c>. The first entry that matches the name decides. For a setting that this entry does not have, section <c>proxy</c> decides.
/// </summary>
public sealed class CachePolicies(LiveOptions live)
{
    private Compiled? _compiled;

    /// <summary>The settings in force now. Ask for each request, because they can be replaced. Allocates nothing for a known
    /// name.</summary>
    /// <param name="name">The name under which the repository is stored.</param>
    public CachePolicy Of(RepositoryName name) => Current.Of(name);

    /// <summary>Whether images of any repository are removed for their age.</summary>
    public bool AnyUnused => Current.AnyUnused;

    private Compiled Current
    {
        get
        {
            var options = live.Current;
            if (_compiled is not { } compiled || compiled.Source != options)
                _compiled = compiled = new Compiled(options);
            return compiled;
        }
    }

    private sealed class Compiled
    {
        // Clients choose the names, so their number has a limit.
        private const int MaxKnown = 10_000;

        private readonly CachePolicy _unmatched;
        private readonly (NamePattern[] Names, CachePolicy Policy)[] _rules;
        private ConcurrentDictionary<RepositoryName, CachePolicy> _known = new();

        public Compiled(MirrorOptions source)
        {
            Source = source;
            var proxy = source.Proxy;
            _unmatched = PolicyOf(new CachePolicyOptions(), proxy);
            var ofUpstreams = proxy.AllUpstreams().Where(upstream => upstream.Options != proxy)
                .SelectMany(upstream => upstream.Options.Policies.Select(entry => (Entry: entry, Prefix: $"{upstream.PathName}/")));
            _rules =
            [
                .. ofUpstreams.Concat(proxy.Policies.Select(entry => (Entry: entry, Prefix: "")))
                    .Select(rule => (Patterns(rule.Entry.Match, rule.Prefix), PolicyOf(rule.Entry, proxy))),
            ];
            AnyUnused = _unmatched.Unused is not null || Array.Exists(_rules, rule => rule.Policy.Unused is not null);
        }

        public MirrorOptions Source { get; }

        public bool AnyUnused { get; }

        public CachePolicy Of(RepositoryName name) =>
            _rules is [] ? _unmatched : _known.TryGetValue(name, out var known) ? known : Remember(name);

        private CachePolicy Remember(RepositoryName name)
        {
            var text = name.ToString();
            var rule = Array.FindIndex(_rules, rule => NamePattern.AnyMatches(rule.Names, text));
            var policy = rule < 0 ? _unmatched : _rules[rule].Policy;
            if (_known.Count >= MaxKnown)
                _known = new();
            _known[name] = policy;
            return policy;
        }

        private static CachePolicy PolicyOf(CachePolicyOptions entry, ProxyOptions proxy) => new(
            entry.TagsCacheTtl ?? proxy.TagsCacheTtl, entry.MaxStale ?? proxy.MaxStale,
            entry.StaleWhileRevalidate ?? proxy.StaleWhileRevalidate, proxy.StaleAfter, proxy.FailFast, proxy.Hold, proxy.WaitLimited,
            Patterns(entry.ImmutableTags ?? proxy.ImmutableTags, ""), entry.Deny, entry.KeepDeleted, entry.Cooldown,
            entry.NewTags is NewTags.Hold,
            (entry.Unused ?? proxy.Ttl) is var unused && unused > TimeSpan.Zero ? unused : null, entry.Pinned);

        private static NamePattern[] Patterns(string[] patterns, string prefix) =>
            [.. patterns.Select(pattern => new NamePattern(prefix + pattern))];
    }
}

/// <summary>How long stored content of a repository is served unchecked, and how long clients wait for its upstream.</summary>
/// <param name="TagsCacheTtl">How long a checked tag is fresh; zero checks for each request (<c>proxy.tags_cache_ttl</c>).</param>
/// <param name="MaxStale">How long after its last check a tag may be served stale; null is for ever (<c>proxy.max_stale</c>).</param>
/// <param name="StaleWhileRevalidate">Whether a stale tag is served at once and checked in the background
/// (<c>proxy.stale_while_revalidate</c>).</param>
/// <param name="StaleAfter">How long a client waits for upstream if there is a stored copy (<c>proxy.stale_after</c>).</param>
/// <param name="FailFast">How long a client waits for upstream's first answer; null sets no limit (<c>proxy.fail_fast</c>).</param>
/// <param name="Hold">How long a request for missing content waits for an upstream that is unavailable (<c>proxy.hold</c>).</param>
/// <param name="WaitLimited">How long such a request waits for an upstream that answers 429 (<c>proxy.wait_limited</c>).</param>
/// <param name="ImmutableTags">Tags that upstream never moves (<c>proxy.immutable_tags</c>).</param>
/// <param name="Denied">Why no client may read the repository; null if clients may (<c>policies.deny</c>).</param>
/// <param name="KeepDeleted">How long a tag is served that upstream has deleted (<c>policies.keep_deleted</c>).</param>
/// <param name="Cooldown">How long a manifest must have been known here before a tag moves to it (<c>policies.cooldown</c>).</param>
/// <param name="HoldsNewTags">Whether <paramref name="Cooldown"/> also delays a tag that this server has never seen
/// (<c>policies.cooldown_new</c>).</param>
/// <param name="Unused">After which time without a pull an image is removed; null is never (<c>policies.unused</c>,
/// <c>proxy.ttl</c>).</param>
/// <param name="IsPinned">Whether no eviction takes an image (<c>policies.pinned</c>).</param>
public sealed record CachePolicy(
    TimeSpan TagsCacheTtl, TimeSpan? MaxStale, bool StaleWhileRevalidate, TimeSpan StaleAfter, TimeSpan? FailFast, TimeSpan Hold,
    TimeSpan WaitLimited,
    NamePattern[] ImmutableTags, string? Denied, TimeSpan KeepDeleted, TimeSpan Cooldown, bool HoldsNewTags,
    TimeSpan? Unused, bool IsPinned)
{
    private static readonly TimeSpan MaxMissingTtl = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long upstream's refusal is remembered. Only for a short time, because a client may be about to push the missing content to
    /// upstream. If the tags of the repository are checked more often than this, missing tags are checked as often.
    /// </summary>
    public TimeSpan MissingTtl => TagsCacheTtl < MaxMissingTtl ? TagsCacheTtl : MaxMissingTtl;

    /// <summary>Whether a tag may still name its stored manifest after upstream moved or deleted the tag.</summary>
    public bool MayHoldTags => KeepDeleted > TimeSpan.Zero || Cooldown > TimeSpan.Zero;

    /// <summary>Whether upstream never moves the tag.</summary>
    public bool IsImmutable(string tag) => NamePattern.AnyMatches(ImmutableTags, tag);
}
