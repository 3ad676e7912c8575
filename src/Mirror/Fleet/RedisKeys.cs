using Mirror.Storage;

namespace Mirror.Fleet;

/// <summary>
/// The names of all entries in Redis. Each name contains a hash of the store, of the upstreams, or of both, so that different mirrors have
/// different entries. Only a manifest needs neither, because its digest proves its bytes.
/// </summary>
public sealed class RedisKeys(FleetKeys keys, FleetIdentity identity)
{
    // The format's number. Raise it when a format changes: two versions can then run over one Redis.
    private const string Prefix = "mirror:2:";

    private readonly Lazy<string> _mirror = new(() => keys.Name(identity.Store, identity.Upstreams)[..16]);

    /// <summary>The channel for changes of this store.</summary>
    public string Changes => $"{Prefix}changes:{identity.Store}";

    /// <summary>The channel on which a replica hears itself.</summary>
    /// <param name="replica">A name that no other process has.</param>
    public static string Heartbeat(string replica) => $"{Prefix}beat:{replica}";

    public static string Manifest(Digest digest) => $"{Prefix}manifest:{digest}";

    /// <summary>The lease of a digest's download.</summary>
    public string Lease(Digest digest) => $"{Prefix}fill:{_mirror.Value}:{digest}";

    /// <summary>How many bytes of mirrored blobs this store has.</summary>
    public string CacheBytes => $"{Prefix}cachebytes:{identity.Store}";

    /// <summary>The blobs that replicas are storing.</summary>
    public string CacheReserved => $"{Prefix}cachereserved:{identity.Store}";

    /// <summary>When images of this store were pulled.</summary>
    public string Pulls => $"{Prefix}pulls:{identity.Store}";

    /// <summary>When each replica of this store was last there.</summary>
    public string Replicas => $"{Prefix}replicas:{identity.Store}";

    /// <summary>A client has asked for this blob of this store.</summary>
    public string Reading(Digest blob) => $"{Prefix}reading:{identity.Store}:{blob}";

    /// <summary>An eviction is deleting this blob of this store.</summary>
    public string Deleting(Digest blob) => $"{Prefix}deleting:{identity.Store}:{blob}";

    /// <summary>A fact that upstream told, such as what a tag names.</summary>
    public string Fact(string kind, string name) => $"{Prefix}{kind}:{_mirror.Value}:{name}";
}
