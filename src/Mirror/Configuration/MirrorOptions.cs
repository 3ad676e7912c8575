namespace Mirror.Configuration;

/// <summary>Every setting that is acted on, one property per section of the configuration file.</summary>
public sealed class MirrorOptions
{
    public LogOptions Log { get; set; } = new();

    public StorageOptions Storage { get; set; } = new();

    public AuthOptions Auth { get; set; } = new();

    public HttpOptions Http { get; set; } = new();

    public ProxyOptions Proxy { get; set; } = new();

    public HostedOptions Hosted { get; set; } = new();

    public NotificationOptions Notifications { get; set; } = new();

    public ValidationOptions Validation { get; set; } = new();

    public CatalogOptions Catalog { get; set; } = new();

    public HealthOptions Health { get; set; } = new();

    public TagsOptions Tags { get; set; } = new();

    public RedisOptions Redis { get; set; } = new();

    public FleetOptions Fleet { get; set; } = new();

    /// <summary>Whether facts are shared by Redis. registry:2 wants both the section and the word in <c>storage.cache</c>; here a server is enough
    /// unless that word says otherwise.</summary>
    public bool SharesByRedis() => Redis.Servers().Count > 0 && Storage.Cache.BlobDescriptor is (null or "redis");
}
