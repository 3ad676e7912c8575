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

    /// <summary>Why clients may not read these repositories. They are told so, and upstream is not asked. Null: they may.</summary>
    public string? Deny { get; set; }

    /// <summary>Whether clients may read these repositories although a later entry denies them. It changes nothing else.</summary>
    public bool Allow { get; set; }
}
