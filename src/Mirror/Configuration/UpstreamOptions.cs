namespace Mirror.Configuration;

/// <summary>One upstream registry: section <c>proxy</c> itself, or an entry of <c>proxy.upstreams</c>.</summary>
public class UpstreamOptions
{
    /// <summary>
    /// The name that clients use for the registry: in <c>ns</c>, and as the first component of a name, such as <c>ghcr.io</c>. Null:
    /// <see cref="EffectiveName"/>.
    /// </summary>
    public string? Name { get; set; }

    /// <summary>
    /// <see cref="Name"/> if given; else <c>docker.io</c> for Docker Hub; else the host, with <c>:port</c> if that is not the scheme's own.
    /// <see cref="ProxyOptions.AllUpstreams"/> derives from it what stands before the names of repositories.
    /// </summary>
    public string EffectiveName => Name ?? (DockerHub.Is(RemoteUrl!) ? DockerHub.Name : RemoteUrl!.Authority);

    /// <summary>The upstream registry, an http or https URL. Null: there is no upstream. Each of Docker Hub's names has been replaced by
    /// <c>https://registry-1.docker.io</c>.</summary>
    public Uri? RemoteUrl { get; set; }

    /// <summary>The account to use upstream. Null: anonymous.</summary>
    public string? Username { get; set; }

    public string? Password { get; set; }

    /// <summary>A credential helper to ask instead of <see cref="Username"/> and <see cref="Password"/>. Null: none.</summary>
    public CredentialHelperOptions? Exec { get; set; }

    /// <summary>Who may read what the upstream does not show to every user.</summary>
    public PrivateImages Private { get; set; }

    /// <summary>Several accounts; each request uses the one with the most left of its limit.</summary>
    public AccountOptions[] Credentials { get; set; } = [];

    /// <summary>Further hosts (with <c>:port</c>, unless it is the default port) whose token services may receive the credentials. The
    /// registry's own host and its known token service may always.</summary>
    [ConfigurationKeyName("token_realms")]
    public string[] TokenRealms { get; set; } = [];

    public UpstreamTlsOptions Tls { get; set; } = new();

    /// <summary>How many connections fetch a large blob at the same time; from 1 to 16.</summary>
    [ConfigurationKeyName("parallel_ranges")]
    public int ParallelRanges { get; set; } = 1;

    /// <summary>How many requests a second the upstream is sent at most, from 1 to 1000; the others wait. Null: as many as there are, but
    /// <c>public.ecr.aws</c> gets as many as it allows: 1 without a login, 10 with one.</summary>
    [ConfigurationKeyName("requests_per_second")]
    public int? RequestsPerSecond { get; set; }

    /// <summary>How long to wait for the headers of a response; from 10 ms to a day. An upstream that is a cache itself may have to
    /// fetch a large image first.</summary>
    [ConfigurationKeyName("response_timeout")]
    public TimeSpan ResponseTimeout { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>A body that brings no byte for this long is requested again from that offset. The whole body has no time limit.</summary>
    [ConfigurationKeyName("idle_timeout")]
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Settings by repository. The first entry that matches a name decides.</summary>
    public CachePolicyOptions[] Policies { get; set; } = [];

    /// <summary>Whether redirects may lead to addresses of this machine and of private networks, although the upstream has a public
    /// one.</summary>
    [ConfigurationKeyName("allow_internal")]
    public bool AllowInternal { get; set; }
}

/// <summary>Who may read the private repositories of an upstream.</summary>
public enum PrivateImages
{
    /// <summary>Every client, if the mirror's account may.</summary>
    Account,

    /// <summary>A client whose own login upstream accepts.</summary>
    Client,

    /// <summary>No client.</summary>
    Off,
}

/// <summary>Section <c>exec</c> of an upstream: a Docker credential helper that is run to get its credentials.</summary>
public sealed class CredentialHelperOptions
{
    /// <summary>The shell command, for example <c>docker-credential-ecr-login</c>. Required.</summary>
    public string Command { get; set; } = "";

    /// <summary>How long an answer is used. Zero: it is asked for every request. Null: it is asked once.</summary>
    public TimeSpan? Lifetime { get; set; }
}

/// <summary>An entry of <c>credentials</c>: an account at an upstream.</summary>
public sealed class AccountOptions
{
    public string Username { get; set; } = "";

    public string Password { get; set; } = "";
}

/// <summary>Section <c>tls</c> of an upstream.</summary>
public sealed class UpstreamTlsOptions
{
    /// <summary>A PEM file of certificate authorities to trust for this upstream, beside the machine's own. Null: none.</summary>
    public string? Ca { get; set; }

    /// <summary>A PEM file with the client certificate to show to the upstream. Null: none.</summary>
    public string? Certificate { get; set; }

    /// <summary>A PEM file with the key of the client certificate. Null: it is in the file of the certificate.</summary>
    public string? Key { get; set; }
}
