using System.Security.Authentication;

namespace Mirror.Configuration;

/// <summary>Section <c>http</c>: where and how clients reach this registry.</summary>
public sealed class HttpOptions
{
    /// <summary>The address to listen on, as Go writes it (see <see cref="ListenAddress"/>): the default is every interface. Without a
    /// configuration file it is <c>localhost:5000</c>.</summary>
    public string Addr { get; set; } = ":5000";

    /// <summary>What <see cref="Addr"/> is: a host and a port, or the path of a Unix socket.</summary>
    public ListenNetwork Net { get; set; }

    /// <summary>What the server listens on.</summary>
    public ListenAddress Listen => Net is ListenNetwork.Unix ? ListenAddress.OfSocket(Addr) : ListenAddress.Parse(Addr);

    /// <summary>The http or https URL by which clients reach this registry, prefix included. Null: what a trusted proxy reports, or a
    /// path alone.</summary>
    public string? Host { get; set; }

    /// <summary>The path in front of <c>v2/</c>; it begins and ends with a slash.</summary>
    public string Prefix { get; set; } = "/";

    /// <summary>The addresses and networks of the proxies in front of this registry. Only these are believed when they tell who the client
    /// is and which address it asked (<c>Forwarded</c>, <c>X-Forwarded-*</c>, <c>X-Real-IP</c>).</summary>
    [ConfigurationKeyName("trusted_proxies")]
    public string[] TrustedProxies { get; set; } = ["127.0.0.1", "::1"];

    /// <summary>Whether every <c>Location</c> is a path alone.</summary>
    public bool RelativeUrls { get; set; }

    /// <summary>Headers that are added to every response. Their names are compared without regard to case.</summary>
    public Dictionary<string, string[]> Headers { get; set; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>How long running requests may take to end after a signal to stop. Zero: they are ended at once.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a client that pushes may send nothing, in a body or before its first byte, until the request is
    /// cut.</summary>
    [ConfigurationKeyName("idle_timeout")]
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>The key that signs the state of uploads; all replicas need the same one. Null: a random key for each start.</summary>
    public string? Secret { get; set; }

    public CorsOptions Cors { get; set; } = new();
    public TlsOptions Tls { get; set; } = new();
    public DebugOptions Debug { get; set; } = new();
    public Http2Options Http2 { get; set; } = new();
}

/// <summary>The kinds of addresses in <c>http.addr</c>.</summary>
public enum ListenNetwork
{
    Tcp,
    Unix,
}

/// <summary>Section <c>http.tls</c>: HTTPS, and the certificates that clients must show. Without a certificate, and without a way to obtain
/// one, the registry speaks plain HTTP.</summary>
public sealed class TlsOptions
{
    /// <summary>A PEM file: the certificate of the server, then the certificates that issued it. Null: there is no such file.</summary>
    public string? Certificate { get; set; }

    /// <summary>A PEM file with the key of the certificate.</summary>
    public string? Key { get; set; }

    /// <summary>PEM files of the authorities that issue the certificates of clients. Empty: clients need no certificate.</summary>
    public string[] ClientCas { get; set; } = [];

    /// <summary>Whether a client must show a certificate: allowed only together with <see cref="ClientCas"/>. Null: see
    /// <see cref="DemandOnClients"/>.</summary>
    public ClientAuth? ClientAuth { get; set; }

    /// <summary><see cref="ClientAuth"/>, or what holds without that key. It counts only if there are <see cref="ClientCas"/>.</summary>
    public ClientAuth DemandOnClients => ClientAuth ?? Configuration.ClientAuth.RequireAndVerify;

    /// <summary>The oldest version of the protocol that is spoken.</summary>
    public TlsVersion MinimumTls { get; set; } = TlsVersion.Tls12;

    /// <summary>The names of the cipher suites of TLS 1.2 that are spoken; those of TLS 1.3 always are. Empty: those
    /// with ECDHE and AES-GCM or ChaCha20-Poly1305.</summary>
    public string[] CipherSuites { get; set; } = [];

    public LetsEncryptOptions LetsEncrypt { get; set; } = new();

    /// <summary>Whether the registry speaks HTTPS.</summary>
    public bool IsOn => Certificate is not null || LetsEncrypt.IsUsed;

    /// <summary>The versions from <see cref="MinimumTls"/> on.</summary>
    public SslProtocols Protocols => MinimumTls is TlsVersion.Tls13 ? SslProtocols.Tls13 : SslProtocols.Tls12 | SslProtocols.Tls13;
}

/// <summary>Whether a client must show a certificate.</summary>
public enum ClientAuth
{
    /// <summary>A client must show a certificate of a configured authority.</summary>
    RequireAndVerify,

    /// <summary>A client may show no certificate; if it shows one, it must be of a configured authority.</summary>
    VerifyIfGiven,

    /// <summary>A client must show a certificate, and any certificate will do.</summary>
    RequireAny,

    /// <summary>A client is asked for a certificate, and may show any certificate or none.</summary>
    Request,
}

/// <summary>The versions of TLS that are safe. The file of <c>registry:3</c> may name older ones; they are read as 1.2.</summary>
public enum TlsVersion
{
    Tls12,
    Tls13,
}

/// <summary>Section <c>http.debug</c>: a second server, for metrics and health. It speaks plain HTTP and asks for no credentials.</summary>
public sealed class DebugOptions
{
    /// <summary>The address to listen on, as Go writes it (see <see cref="ListenAddress"/>). Null: there is no such server.</summary>
    public string? Addr { get; set; }

    public PrometheusOptions Prometheus { get; set; } = new();
}

/// <summary>Section <c>http.debug.prometheus</c>.</summary>
public sealed class PrometheusOptions
{
    /// <summary>Whether the debug server serves metrics.</summary>
    public bool Enabled { get; set; }

    /// <summary>The path of the metrics; it begins with a slash.</summary>
    public string Path { get; set; } = "/metrics";
}

/// <summary>Section <c>http.http2</c>.</summary>
public sealed class Http2Options
{
    /// <summary>Whether the server refuses HTTP/2.</summary>
    public bool Disabled { get; set; }
}
