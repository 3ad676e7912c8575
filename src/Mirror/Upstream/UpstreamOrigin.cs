using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>A configured registry: where it is, what it is called here, and where its credentials may go.</summary>
public sealed class UpstreamOrigin
{
    // Token services on another host than their registry's. Everything else must be on the registry's own host or below it, or be named
    // in the configuration: a rule by "registrable domain" would need the public suffix list to be safe (evil.co.uk is no sibling of
    // registry.co.uk).
    private static readonly Dictionary<string, string> KnownTokenHosts = new(StringComparer.OrdinalIgnoreCase)
    {
        ["registry-1.docker.io"] = "auth.docker.io",
        ["registry.gitlab.com"] = "gitlab.com",
    };

    private readonly string[] _tokenRealms;

    /// <param name="options">Options with a <see cref="UpstreamOptions.RemoteUrl"/>, whose path stands before <c>v2/</c>.</param>
    /// <param name="pathName">The upstream's path name, from <see cref="ProxyOptions.AllUpstreams"/>.</param>
    public UpstreamOrigin(UpstreamOptions options, string pathName)
    {
        var remote = options.RemoteUrl ?? throw new ArgumentException("An upstream needs a remoteurl.", nameof(options));
        BaseAddress = remote.AbsolutePath.EndsWith('/') ? remote : new Uri(remote.AbsoluteUri + "/");
        Name = pathName;
        Prefix = options is ProxyOptions ? "" : $"{pathName}/";
        AllowsInternal = options.AllowInternal;
        IdleTimeout = options.IdleTimeout;
        _tokenRealms = options.TokenRealms;
    }

    /// <summary>The registry's address, ending in <c>/</c>.</summary>
    public Uri BaseAddress { get; }

    /// <summary>The first part of its repositories' names, such as <c>docker.io</c>. No other upstream has it.</summary>
    public string Name { get; }

    /// <summary>What stands before the name in the store: <c>ghcr.io/</c>; empty for the default upstream.</summary>
    public string Prefix { get; }

    /// <summary>Host and, where it is not the scheme's own, port: the name in logs and metrics.</summary>
    public string Authority => BaseAddress.Authority;

    /// <summary>On Docker Hub a bare name means <c>library/&lt;name&gt;</c>.</summary>
    public bool IsDockerHub => Name == DockerHub.Name;

    /// <summary>Whether a redirect may lead into internal networks though this upstream is outside.</summary>
    public bool AllowsInternal { get; }

    /// <summary>How long a body may bring no byte (<c>proxy.idle_timeout</c>).</summary>
    public TimeSpan IdleTimeout { get; }

    /// <summary>For how long a body that broke off is asked for again though nothing comes (<c>proxy.hold</c>); zero leaves it at a few attempts.</summary>
    public TimeSpan Hold { get; init; }

    /// <summary>What the upstream itself calls a repository that is stored here under <paramref name="name"/>.</summary>
    public string RemoteName(RepositoryName name) => name.ToString()[Prefix.Length..];

    /// <summary>True where a URL has the scheme, host and port that were configured.</summary>
    public bool IsSameOrigin(Uri url) =>
        url.Scheme == BaseAddress.Scheme && url.Port == BaseAddress.Port && url.Host.Equals(BaseAddress.Host, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether a token may be asked for, with credentials, at a realm that the network named.</summary>
    public bool MayAskForTokensAt(Uri realm)
    {
        if (realm.Scheme != Uri.UriSchemeHttps && !(realm.Scheme == Uri.UriSchemeHttp && BaseAddress.Scheme == Uri.UriSchemeHttp) || realm.UserInfo.Length > 0)
            return false;
        if (_tokenRealms.Contains(realm.Authority, StringComparer.OrdinalIgnoreCase))
            return true;
        if (KnownTokenHosts.TryGetValue(BaseAddress.Host, out var known))
            return realm.Host.Equals(known, StringComparison.OrdinalIgnoreCase) && realm.IsDefaultPort;
        return realm.Host.Equals(BaseAddress.Host, StringComparison.OrdinalIgnoreCase)
            || BaseAddress.HostNameType == UriHostNameType.Dns && realm.Host.EndsWith("." + BaseAddress.Host, StringComparison.OrdinalIgnoreCase);
    }
}
