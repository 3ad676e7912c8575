namespace Mirror.Configuration;

/// <summary>
/// An entry of <c>policies</c>: settings for the mirrored repositories whose names match. What an entry does not set is as section
/// <c>proxy</c> says. The first entry that matches a name decides; an upstream's own entries come before those of <c>proxy</c>.
/// </summary>
public sealed class CachePolicyOptions
{
    /// <summary>Patterns of names, such as <c>library/*</c>. At least one. In <c>proxy.policies</c> a name is that of the catalog, in an
    /// entry of <c>proxy.upstreams</c> that at the upstream.</summary>
    public string[] Match { get; set; } = [];

    /// <summary>Null: <see cref="ProxyOptions.TagsCacheTtl"/>.</summary>
    [ConfigurationKeyName("tags_cache_ttl")]
    public TimeSpan? TagsCacheTtl { get; set; }

    /// <summary>Null: <see cref="ProxyOptions.MaxStale"/>.</summary>
    [ConfigurationKeyName("max_stale")]
    public TimeSpan? MaxStale { get; set; }

    /// <summary>Null: <see cref="ProxyOptions.StaleWhileRevalidate"/>.</summary>
    [ConfigurationKeyName("stale_while_revalidate")]
    public bool? StaleWhileRevalidate { get; set; }

    /// <summary>Null: <see cref="ProxyOptions.ImmutableTags"/>.</summary>
    [ConfigurationKeyName("immutable_tags")]
    public string[]? ImmutableTags { get; set; }

    /// <summary>How long a tag that upstream has deleted is still served. Zero: not at all.</summary>
    [ConfigurationKeyName("keep_deleted")]
    public TimeSpan KeepDeleted { get; set; }

    /// <summary>How long this server must have known a new manifest before a tag moves to it. Until then the tag names the old manifest.
    /// Zero: the tag moves without delay.</summary>
    public TimeSpan Cooldown { get; set; }

    /// <summary>What happens to a tag that this server has never seen, while its manifest is not known for <see
    /// cref="Cooldown"/>.</summary>
    [ConfigurationKeyName("cooldown_new")]
    public NewTags NewTags { get; set; }

    /// <summary>After this time without a pull an image is removed. Null: <see cref="ProxyOptions.Ttl"/>. Zero: none is removed for its
    /// age.</summary>
    public TimeSpan? Unused { get; set; }

    /// <summary>Whether no eviction takes an image of these repositories.</summary>
    public bool Pinned { get; set; }

    /// <summary>Why clients may not read these repositories. They are told so, and upstream is not asked. Null: they may.</summary>
    public string? Deny { get; set; }

    /// <summary>Whether clients may read these repositories although a later entry denies them. It changes nothing else.</summary>
    public bool Allow { get; set; }
}

/// <summary>What <c>cooldown</c> means for a tag that was never seen before.</summary>
public enum NewTags
{
    /// <summary>It is served.</summary>
    Serve,

    /// <summary>It is refused until its manifest has been known for that long.</summary>
    Hold,
}
