using Mirror.Configuration;
using Mirror.Limits;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>A configured upstream registry: its address, its name, and where its credentials may go.</summary>
public sealed class UpstreamOrigin
{
    // Registries with a token service on another host. All other token services must be on the registry's own host or below it, or be
    // configured. A rule by "registrable domain" would need the public suffix list to be safe: evil.co.uk is no sibling of registry.co.uk.
    private static readonly Dictionary<string, string> KnownTokenHosts = new(StringComparer.OrdinalIgnoreCase)
    {
        ["registry-1.docker.io"] = "auth.docker.io",
        ["registry.gitlab.com"] = "gitlab.com",
    };

    private readonly string? _givenName;
    private readonly string[] _names;
    private readonly string[] _tokenRealms;

    /// <param name="options">Options with a <see cref="UpstreamOptions.RemoteUrl"/>, whose path stands before <c>v2/</c>.</param>
    /// <param name="pathName">The upstream's path name, from <see cref="ProxyOptions.AllUpstreams"/>.</param>
    public UpstreamOrigin(UpstreamOptions options, string pathName)
    {
        var remote = options.RemoteUrl ?? throw new ArgumentException("An upstream needs a remoteurl.", nameof(options));
        BaseAddress = remote.AbsolutePath.EndsWith('/') ? remote : new Uri(remote.AbsoluteUri + "/");
        Name = pathName;
        _givenName = options.Name;
        Label = options.EffectiveName;
        _names = [pathName, options.EffectiveName, remote.Authority, $"{remote.Host}:{remote.Port}"];
        Prefix = options is ProxyOptions ? "" : $"{pathName}/";
        AllowsInternal = options.AllowInternal;
        IdleTimeout = options.IdleTimeout;
        ResponseTimeout = options.ResponseTimeout;
        RequestsPerSecond = options.RequestsPerSecond ?? PresetRate(options);
        _tokenRealms = options.TokenRealms;
    }

    /// <summary>Places for large documents of this upstream. One place stays for other upstreams, so an upstream whose bodies come slowly
    /// holds up only its own.</summary>
    internal SemaphoreSlim LargeBodies { get; } = new(Math.Max(1, DocumentMemory.MaxLargeBodies - 1));

    /// <summary>What marks this process's requests to it in the header <see cref="Upstream.LoopMark.Header"/>.</summary>
    public string LoopMark { get; } = Upstream.LoopMark.New();

    /// <summary>The registry's address, ending in <c>/</c>.</summary>
    public Uri BaseAddress { get; }

    /// <summary>The first part of its repositories' names, such as <c>docker.io</c>. No other upstream has it.</summary>
    public string Name { get; }

    /// <summary>Its <see cref="UpstreamOptions.EffectiveName"/>: the label <c>upstream</c> of metrics.</summary>
    public string Label { get; }

    /// <summary>Whether clients that name this registry mean this upstream: by its name, or by its host and port.</summary>
    public bool IsCalled(string registry) =>
        _names.Contains(registry, StringComparer.OrdinalIgnoreCase) || IsDockerHub && DockerHub.IsName(registry);

    /// <summary>
    /// Whether clients that name this host with any port mean this upstream. It has that name without a port, given by the operator; the
    /// host of its address alone says nothing of other ports.
    /// </summary>
    public bool IsCalledOnAnyPort(string host) =>
        host.Equals(_givenName, StringComparison.OrdinalIgnoreCase) || IsDockerHub && DockerHub.IsName(host);

    /// <summary>The prefix of its repositories' names in the store: <c>ghcr.io/</c>; empty for the default upstream.</summary>
    public string Prefix { get; }

    /// <summary>The host, and the port where it is not the scheme's own. For logs and errors.</summary>
    public string Authority => BaseAddress.Authority;

    /// <summary>Whether this is Docker Hub, where a name without a slash means <c>library/&lt;name&gt;</c>.</summary>
    public bool IsDockerHub => Name == DockerHub.Name;

    /// <summary>Whether redirects may lead into internal networks even if this upstream is outside (<c>proxy.allow_internal</c>).</summary>
    public bool AllowsInternal { get; }

    /// <summary>How long to wait for the headers of a response, and for the first byte of its body
    /// (<c>proxy.response_timeout</c>).</summary>
    public TimeSpan ResponseTimeout { get; }

    /// <summary>How many requests a second it is sent at most; null for as many as there are (<c>requests_per_second</c>).</summary>
    public int? RequestsPerSecond { get; }

    /// <summary>How long a body that has begun may bring no byte before it counts as cut (<c>proxy.idle_timeout</c>).</summary>
    public TimeSpan IdleTimeout { get; }

    /// <summary>How long to retry a body that was cut while no bytes come (<c>proxy.hold</c>); zero makes a few attempts only.</summary>
    public TimeSpan Hold { get; init; }

    /// <summary>
    /// The upstream's own name for a repository that is stored as <paramref name="name"/>, which begins with <see cref="Prefix"/>.
    /// </summary>
    public string RemoteName(RepositoryName name) => name.ToString()[Prefix.Length..];

    // Amazon ECR Public, "Service quotas": requests a second for each address without a login, and with one.
    private static int? PresetRate(UpstreamOptions options) =>
        options.RemoteUrl!.Host != "public.ecr.aws" ? null : options is { Username: null, Exec: null, Credentials: [] } ? 1 : 10;

    /// <summary>Whether a URL has the configured scheme, host and port.</summary>
    public bool IsSameOrigin(Uri url) =>
        url.Scheme == BaseAddress.Scheme && url.Port == BaseAddress.Port
        && url.Host.Equals(BaseAddress.Host, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether a token may be requested there without credentials.</summary>
    public static bool IsHttpWithoutUserInfo(Uri realm) =>
        realm.UserInfo.Length == 0 && (realm.Scheme == Uri.UriSchemeHttps || realm.Scheme == Uri.UriSchemeHttp);

    /// <summary>Whether the way there is as safe as that to the registry: not over plain HTTP if the registry speaks TLS.</summary>
    public bool IsAsSafe(Uri realm) => realm.Scheme == Uri.UriSchemeHttps || BaseAddress.Scheme == Uri.UriSchemeHttp;

    /// <summary>Whether credentials may be sent to a token service that a challenge named.</summary>
    public bool MaySendLoginTo(Uri realm)
    {
        if (!IsHttpWithoutUserInfo(realm) || !IsAsSafe(realm))
            return false;
        if (_tokenRealms.Contains(realm.Authority, StringComparer.OrdinalIgnoreCase))
            return true;
        if (KnownTokenHosts.TryGetValue(BaseAddress.Host, out var known))
            return realm.Host.Equals(known, StringComparison.OrdinalIgnoreCase) && realm.IsDefaultPort;
        return realm.Host.Equals(BaseAddress.Host, StringComparison.OrdinalIgnoreCase)
            || BaseAddress.HostNameType == UriHostNameType.Dns
            && realm.Host.EndsWith("." + BaseAddress.Host, StringComparison.OrdinalIgnoreCase);
    }
}
