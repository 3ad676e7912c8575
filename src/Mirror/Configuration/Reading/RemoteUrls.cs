using System.Net;

namespace Mirror.Configuration.Reading;

/// <summary>Mends and checks the addresses of upstreams.</summary>
internal static class RemoteUrls
{
    /// <summary>Removes <c>v2</c> from the end of each address: the server itself puts it there, and no image would be found below
    /// <c>v2/v2</c>.</summary>
    public static void WithoutVersion(ProxyOptions proxy, Findings findings)
    {
        foreach (var (key, upstream) in All(proxy))
        {
            if (upstream.RemoteUrl is not { } url || !url.AbsolutePath.TrimEnd('/').EndsWith("/v2", StringComparison.Ordinal))
                continue;
            upstream.RemoteUrl = new Uri(url.OriginalString.TrimEnd('/')[..^"/v2".Length]);
            findings.Warnings.Add($"{key} is read as {upstream.RemoteUrl.OriginalString}: the v2 at its end is a part of every request");
        }
    }

    /// <summary>No address may be the one that the server itself listens on: each request would lead to the next one.</summary>
    public static void CheckOwn(MirrorOptions options, Findings findings)
    {
        // A wrong address has an error of its own.
        if (options.Http.Net is not ListenNetwork.Tcp || !ListenAddress.TryParse(options.Http.Addr, out var own))
            return;
        var scheme = options.Http.Tls.IsOn ? Uri.UriSchemeHttps : Uri.UriSchemeHttp;
        foreach (var (key, upstream) in All(options.Proxy))
            if (upstream.RemoteUrl is { } url && url.Scheme == scheme && url.Port == own.Port && IsOwn(url, own))
                findings.Errors.Add(
                    $"{key}: \"{url.OriginalString}\" is not allowed: it is the address of this server itself (http.addr: "
                    + $"{options.Http.Addr}); write the address of the registry to mirror, such as https://registry-1.docker.io");
    }

    private static bool IsOwn(Uri url, ListenAddress own)
    {
        var host = url.IdnHost;
        if (host.Equals(own.Host, StringComparison.OrdinalIgnoreCase))
            return true;
        var isLocalhost = host.Equals("localhost", StringComparison.OrdinalIgnoreCase);
        if (own.IsAnyInterface || own.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
            return isLocalhost || IPAddress.TryParse(host, out var ip)
                && (IPAddress.IsLoopback(ip) || ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any));
        return isLocalhost && own.IsLoopback;
    }

    private static IEnumerable<(string Key, UpstreamOptions Options)> All(ProxyOptions proxy) => proxy.Upstreams
        .Select((upstream, i) => ($"proxy.upstreams.{i}.remoteurl", upstream))
        .Prepend(("proxy.remoteurl", (UpstreamOptions)proxy));
}
