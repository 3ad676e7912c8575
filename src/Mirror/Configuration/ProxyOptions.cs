namespace Mirror.Configuration;

/// <summary>Section <c>proxy</c>: the registry that is mirrored, how its tags are believed, and further upstreams.</summary>
public sealed class ProxyOptions : UpstreamOptions
{
    /// <summary>How long a tag is believed before upstream is asked again; zero asks every time. Default 10 minutes.</summary>
    [ConfigurationKeyName("tags_cache_ttl")]
    public TimeSpan TagsCacheTtl { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>For how long after its last check a tag is served though upstream cannot be asked; null (the default) is for ever.</summary>
    [ConfigurationKeyName("max_stale")]
    public TimeSpan? MaxStale { get; set; }

    /// <summary>Whether a tag whose time is up is answered at once and checked in the background. Default false.</summary>
    [ConfigurationKeyName("stale_while_revalidate")]
    public bool StaleWhileRevalidate { get; set; }

    /// <summary>Patterns of tags, such as <c>v*.*.*</c>, that upstream never moves: once stored they are not checked again. Default none.</summary>
    [ConfigurationKeyName("immutable_tags")]
    public string[] ImmutableTags { get; set; } = [];

    /// <summary>
    /// How long a client waits for the check of a tag that is stored here, before it is answered with what is stored, marked stale. The check
    /// goes on. Default 2 seconds.
    /// </summary>
    [ConfigurationKeyName("stale_after")]
    public TimeSpan StaleAfter { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long a client is kept waiting for upstream's first answer before it gets 503 and can turn to its next host; null (the default)
    /// waits as long as the attempts take, under 30 seconds.
    /// </summary>
    [ConfigurationKeyName("fail_fast")]
    public TimeSpan? FailFast { get; set; }

    /// <summary>
    /// How long a request for what is not here is kept waiting, and upstream asked again, while that cannot be reached or says later, instead of
    /// being answered 503 or 429; zero (the default) keeps nobody waiting. Not together with <see cref="FailFast"/>.
    /// </summary>
    public TimeSpan Hold { get; set; }

    /// <summary>
    /// How many bytes of mirrored blobs are kept; past that the longest unused go. Null (the default) keeps all. Neither manifests nor what hosted
    /// repositories have count, or go. Not with a bucket.
    /// </summary>
    [ConfigurationKeyName("max_size")]
    public long? MaxSize { get; set; }

    /// <summary>Further upstreams, chosen by <c>?ns=</c> or by the first component of a name. Default none.</summary>
    public UpstreamOptions[] Upstreams { get; set; } = [];

    /// <summary>Whether there is anything to mirror. Without an upstream this is a plain registry.</summary>
    public bool HasUpstream => RemoteUrl is not null || Upstreams.Length > 0;
}
