namespace Mirror.Configuration;

/// <summary>Section <c>http</c>: where and how this registry is reached.</summary>
public sealed class HttpOptions
{
    /// <summary>Where to listen, as Go writes it (see <see cref="ListenAddress"/>). Default <c>:5000</c>, every interface;
    /// <c>localhost:5000</c> where there is no configuration file.</summary>
    public string Addr { get; set; } = ":5000";

    /// <summary>The http or https URL under which clients reach this registry, prefix included; null (the default) takes it from each request.</summary>
    public string? Host { get; set; }

    /// <summary>The path that stands before <c>v2/</c>; it begins and ends with a slash. Default <c>/</c>.</summary>
    public string Prefix { get; set; } = "/";

    /// <summary>Whether <c>Location</c> headers are relative. Default false.</summary>
    public bool RelativeUrls { get; set; }

    /// <summary>Headers added to every answer; names are compared without regard to case. Default none.</summary>
    public Dictionary<string, string[]> Headers { get; set; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>How long running requests may take to end after a signal to stop; zero ends them at once. Default 30 seconds.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The key that signs the state of uploads, the same for all replicas; null (the default) means one drawn at each start.</summary>
    public string? Secret { get; set; }

    public TlsOptions Tls { get; set; } = new();

    public DebugOptions Debug { get; set; } = new();

    public Http2Options Http2 { get; set; } = new();
}
