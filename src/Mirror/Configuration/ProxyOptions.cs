namespace Mirror.Configuration;

/// <summary>Section <c>proxy</c>: the registry that is mirrored, how long its tags are used without asking, and further
/// upstreams.</summary>
public sealed class ProxyOptions : UpstreamOptions
{
    /// <summary>How long a tag is used before upstream is asked again. Zero: upstream is asked each time.</summary>
    [ConfigurationKeyName("tags_cache_ttl")]
    public TimeSpan TagsCacheTtl { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long after its last check a tag is served while upstream cannot be asked. Null: for ever.</summary>
    [ConfigurationKeyName("max_stale")]
    public TimeSpan? MaxStale { get; set; }

    /// <summary>Whether a tag older than <see cref="TagsCacheTtl"/> is served at once and checked in the background.</summary>
    [ConfigurationKeyName("stale_while_revalidate")]
    public bool StaleWhileRevalidate { get; set; }

    /// <summary>Patterns of tags that upstream never moves, such as <c>v*.*.*</c>. A stored tag that matches is not checked
    /// again.</summary>
    [ConfigurationKeyName("immutable_tags")]
    public string[] ImmutableTags { get; set; } = [];

    /// <summary>How long a client waits for the check of a stored tag before it gets the stored one, marked stale. The check goes
    /// on.</summary>
    [ConfigurationKeyName("stale_after")]
    public TimeSpan StaleAfter { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a client waits for upstream's first answer before it gets 503 and can try its next host. Null: as long as
    /// <see cref="UpstreamOptions.ResponseTimeout"/>.</summary>
    [ConfigurationKeyName("fail_fast")]
    public TimeSpan? FailFast { get; set; }

    /// <summary>How long a request for content that is not stored waits, while upstream cannot be reached or answers 429, before the client
    /// gets 503 or 429. The server keeps asking upstream. Zero: no request waits. It cannot be set together with <see
    /// cref="FailFast"/>.</summary>
    public TimeSpan Hold { get; set; }

    /// <summary>The longest <c>Retry-After</c> of a 429 for which a request for content that is not stored waits. All waits of a request
    /// together are at most twelve times as long. Zero: the client gets the 429 at once.</summary>
    [ConfigurationKeyName("wait_limited")]
    public TimeSpan WaitLimited { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>What is done in the background for the other blobs of an image, after a client has asked for one of its layers.</summary>
    public CompleteImages Complete { get; set; } = CompleteImages.Linked;

    /// <summary>What is fetched before clients ask for it.</summary>
    public WarmOptions Warm { get; set; } = new();

    /// <summary>How many bytes of mirrored blobs are kept, 1 MiB or more; above that, the least recently used images are removed. Null: all
    /// are kept. Manifests and hosted repositories neither count nor are removed.</summary>
    [ConfigurationKeyName("max_size")]
    public long? MaxSize { get; set; }

    /// <summary>How long the mirror remembers upstream's answer whether a repository is public, or open to a client's login.</summary>
    [ConfigurationKeyName("private_ttl")]
    public TimeSpan PrivateTtl { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>The path names of the upstreams that are asked with the logins of clients.</summary>
    public IReadOnlyList<string> UpstreamsForClientLogins =>
        [.. AllUpstreams().Where(upstream => upstream.Options.Private is PrivateImages.Client).Select(upstream => upstream.PathName)];

    /// <summary>How many bytes of the store's volume stay free, 1 MiB or more: where there are fewer, the least recently used images are
    /// removed. Null: no limit. It cannot be set together with a bucket.</summary>
    [ConfigurationKeyName("min_free")]
    public long? MinFree { get; set; }

    /// <summary>The key of registry:2: after this time without a pull an image is removed, unless a policy's <see
    /// cref="CachePolicyOptions.Unused"/> says otherwise. Zero: none is removed for its age.</summary>
    public TimeSpan Ttl { get; set; }

    /// <summary>Further upstreams. A request chooses one by <c>?ns=</c> or by the first component of the repository's name.</summary>
    public UpstreamOptions[] Upstreams { get; set; } = [];

    /// <summary>Whether an <c>?ns=</c> that names no upstream is ignored. Without it a mirror of Docker Hub, or of several registries,
    /// answers 404: other registries have repositories of the same names.</summary>
    [ConfigurationKeyName("any_ns")]
    public bool AnyNs { get; set; }

    /// <summary>Whether there is anything to mirror. Without an upstream this is a plain registry.</summary>
    public bool HasUpstream => RemoteUrl is not null || Upstreams.Length > 0;

    /// <summary>
    /// Every upstream that has a <see cref="UpstreamOptions.RemoteUrl"/>, the default one first, each with its path name: the first part of
    /// its repositories' names. This is its <see cref="UpstreamOptions.EffectiveName"/>, but a repository name cannot hold a colon. So the
    /// path name of <c>host:port</c> is the host alone, or <c>host_port</c> if another upstream has that host as its name or in its URL. A
    /// colon in <c>name</c> becomes <c>_</c>. No two upstreams of a configuration without errors have the same path name.
    /// </summary>
    public IReadOnlyList<(UpstreamOptions Options, string PathName)> AllUpstreams()
    {
        UpstreamOptions[] all = [.. Upstreams.Prepend(this).Where(upstream => upstream.RemoteUrl is not null)];
        return [.. all.Select(upstream => (upstream, PathName(upstream)))];

        string PathName(UpstreamOptions upstream)
        {
            var (name, host) = (upstream.EffectiveName, upstream.RemoteUrl!.Host);
            return upstream.Name is not null || upstream.RemoteUrl.IsDefaultPort ? name.Replace(':', '_')
                : Array.Exists(all, other => other != upstream && (other.Name ?? other.RemoteUrl!.Host) == host) ? name.Replace(':', '_')
                : host;
        }
    }
}

/// <summary>What <c>proxy.complete</c> does for an image of which a client has asked for a layer.</summary>
public enum CompleteImages
{
    /// <summary>Nothing.</summary>
    Off,

    /// <summary>The right to each of its blobs that is stored already is proved by a HEAD upstream.</summary>
    Linked,

    /// <summary>Also, its missing blobs are downloaded.</summary>
    Images,
}
