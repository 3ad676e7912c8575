namespace Mirror.Configuration;

/// <summary>
/// Every setting that is acted on: a property for each section of the configuration file, and a file for each section's class. A setting's
/// default is the value that its property starts with. Where that is null, the comment says what null means. The rules for what a
/// user may write stand in <see cref="Reading.KnownKeys"/>.
/// </summary>
public sealed class MirrorOptions
{
    public LogOptions Log { get; set; } = new();
    public ReportingOptions Reporting { get; set; } = new();
    public StorageOptions Storage { get; set; } = new();
    public MiddlewareOptions Middleware { get; set; } = new();
    public AuthOptions Auth { get; set; } = new();
    public AccessOptions Access { get; set; } = new();
    public HttpOptions Http { get; set; } = new();
    public NotificationOptions Notifications { get; set; } = new();
    public RedisOptions Redis { get; set; } = new();
    public FleetOptions Fleet { get; set; } = new();
    public HealthOptions Health { get; set; } = new();
    public ProxyOptions Proxy { get; set; } = new();
    public HostedOptions Hosted { get; set; } = new();
    public CompatibilityOptions Compatibility { get; set; } = new();
    public ValidationOptions Validation { get; set; } = new();
    public CatalogOptions Catalog { get; set; } = new();
    public TagsOptions Tags { get; set; } = new();
    public PolicyOptions Policy { get; set; } = new();
    public SearchOptions Search { get; set; } = new();
    public UiOptions Ui { get; set; } = new();

    /// <summary>
    /// Whether clients may push and delete at all. A mirror accepts neither, as <c>registry:2</c>, unless it has section <c>auth</c> or
    /// <c>access.rules</c>, or <c>hosted.repositories</c> names repositories for pushes.
    /// </summary>
    public bool TakesWrites => !Proxy.HasUpstream || KnowsClients || Hosted.Repositories.Length > 0;

    /// <summary>Whether section <c>auth</c> or <c>access.rules</c> says who may use the registry.</summary>
    public bool KnowsClients => Auth is not { Htpasswd: null, Token: null, Silly: null, Oidc: null } || Access.Rules.Length > 0;

    /// <summary>Whether the server uses Redis. <c>registry:2</c> needs the section and the word in <c>storage.cache</c>; for us a server in
    /// section <c>redis</c> is enough, unless <c>storage.cache</c> names another cache.</summary>
    public bool SharesByRedis() => Redis.Servers().Count > 0 && Storage.Cache.BlobDescriptor is (null or "redis");
}
