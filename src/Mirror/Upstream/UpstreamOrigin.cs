namespace Mirror.Upstream;

/// <summary>A configured registry: where it is, and where its credentials may go.</summary>
public sealed class UpstreamOrigin
{
    // Token services on another host than their registry's. Everything else must be on the registry's own host or below it: a rule by
    // "registrable domain" would need the public suffix list to be safe (evil.co.uk is no sibling of registry.co.uk).
    private static readonly Dictionary<string, string> KnownTokenHosts = new(StringComparer.OrdinalIgnoreCase)
    {
        ["registry-1.docker.io"] = "auth.docker.io",
        ["registry.gitlab.com"] = "gitlab.com",
    };

    /// <param name="remoteUrl">The registry's address; what follows the host is a path prefix.</param>
    public UpstreamOrigin(Uri remoteUrl) =>
        BaseAddress = remoteUrl.AbsolutePath.EndsWith('/') ? remoteUrl : new Uri(remoteUrl.AbsoluteUri + "/");

    /// <summary>The registry's address, ending in <c>/</c>.</summary>
    public Uri BaseAddress { get; }

    /// <summary>Host and, where it is not the scheme's own, port: the name in logs and metrics.</summary>
    public string Name => BaseAddress.Authority;

    /// <summary>On Docker Hub a bare name means <c>library/&lt;name&gt;</c>.</summary>
    public bool IsDockerHub => BaseAddress.Host.Equals("registry-1.docker.io", StringComparison.OrdinalIgnoreCase);

    /// <summary>True where a URL has the scheme, host and port that were configured.</summary>
    public bool IsSameOrigin(Uri url) =>
        url.Scheme == BaseAddress.Scheme && url.Port == BaseAddress.Port && url.Host.Equals(BaseAddress.Host, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether a token may be asked for, with credentials, at a realm that the network named.</summary>
    public bool MayAskForTokensAt(Uri realm)
    {
        if (realm.Scheme != Uri.UriSchemeHttps && realm.Scheme != BaseAddress.Scheme || realm.UserInfo.Length > 0)
            return false;
        if (realm.Host.Equals(BaseAddress.Host, StringComparison.OrdinalIgnoreCase))
            return true;
        if (KnownTokenHosts.TryGetValue(BaseAddress.Host, out var known))
            return realm.Host.Equals(known, StringComparison.OrdinalIgnoreCase) && realm.IsDefaultPort;
        return BaseAddress.HostNameType == UriHostNameType.Dns && realm.Host.EndsWith("." + BaseAddress.Host, StringComparison.OrdinalIgnoreCase);
    }
}
