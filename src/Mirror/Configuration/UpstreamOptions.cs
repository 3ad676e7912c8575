namespace Mirror.Configuration;

/// <summary>One upstream registry: section <c>proxy</c> itself, or an entry of <c>proxy.upstreams</c>.</summary>
public class UpstreamOptions
{
    /// <summary>
    /// What clients call the registry: the <c>ns</c> they send and the first component of a name, such as <c>ghcr.io</c>. Default: the host of
    /// <see cref="RemoteUrl"/>; <c>docker.io</c> for Docker Hub.
    /// </summary>
    public string? Name { get; set; }

    /// <summary>The upstream registry, http or https; null (the default) makes this a plain registry. Docker Hub's other names are already
    /// replaced by <c>https://registry-1.docker.io</c>.</summary>
    public Uri? RemoteUrl { get; set; }

    /// <summary>The account used upstream; null (the default) is anonymous.</summary>
    public string? Username { get; set; }

    public string? Password { get; set; }

    /// <summary>A credential helper to ask instead of <see cref="Username"/> and <see cref="Password"/>; null (the default) is none.</summary>
    public CredentialHelperOptions? Exec { get; set; }

    /// <summary>Several accounts, used by what each has left of its limit. Default none.</summary>
    public AccountOptions[] Credentials { get; set; } = [];

    /// <summary>
    /// Hosts, with a port where it is not the scheme's own, whose token services may be sent the credentials, beside the registry's own host and
    /// the ones known for it. Default none.
    /// </summary>
    [ConfigurationKeyName("token_realms")]
    public string[] TokenRealms { get; set; } = [];

    public UpstreamTlsOptions Tls { get; set; } = new();

    /// <summary>Over how many connections at once a large blob is fetched, 1 to 16. Default 1.</summary>
    [ConfigurationKeyName("parallel_ranges")]
    public int ParallelRanges { get; set; } = 1;

    /// <summary>How long a body may bring no byte before it is given up and asked for again from there. There is no limit on the whole.
    /// Default 15 seconds.</summary>
    [ConfigurationKeyName("idle_timeout")]
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Whether redirects may lead to addresses of this machine and its networks, though the upstream is outside. Default false.</summary>
    [ConfigurationKeyName("allow_internal")]
    public bool AllowInternal { get; set; }
}

/// <summary>An account at an upstream.</summary>
public sealed class AccountOptions
{
    public string Username { get; set; } = "";

    public string Password { get; set; } = "";
}

/// <summary>How an upstream's TLS is checked, and how the mirror proves itself to it.</summary>
public sealed class UpstreamTlsOptions
{
    /// <summary>A PEM file of certificate authorities trusted for this upstream, beside the machine's own; null (the default) is none.</summary>
    public string? Ca { get; set; }

    /// <summary>A PEM file with the client certificate; null (the default) is none.</summary>
    public string? Certificate { get; set; }

    /// <summary>A PEM file with the client certificate's key; null where it is in the same file.</summary>
    public string? Key { get; set; }
}
