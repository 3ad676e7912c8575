using System.Net;
using System.Text;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>Opens connections to an upstream, and to the hosts that it redirects to.</summary>
internal static class UpstreamConnections
{
    /// <summary>How long the connection, the proxy's tunnel and TLS may take together.</summary>
    public static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);

    /// <summary>How large the headers of an answer may be together, in KiB.</summary>
    public const int MaxHeaders = 64;

    /// <summary>
    /// The innermost handler. It follows no redirects, decompresses nothing, and has no cookies and no credentials. No request asks for
    /// HTTP/2: it would put all downloads from a host on one connection, and a connection that breaks would cut them all.
    /// </summary>
    public static SocketsHttpHandler Create(UpstreamOrigin origin, UpstreamTls tls) => new()
    {
        SslOptions = tls.Options(),
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        ConnectTimeout = ConnectTimeout,
        // The addresses of a CDN change within minutes.
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        MaxConnectionsPerServer = 256,
        MaxResponseHeadersLength = MaxHeaders,
        // A character for each byte, so that the bytes of a redirect's URL are known. Without this, Location is sometimes read as UTF-8.
        ResponseHeaderEncodingSelector = (_, _) => Encoding.Latin1,
        ResponseDrainTimeout = TimeSpan.FromSeconds(1),
        ConnectCallback = (context, cancellationToken) => DialAsync(context, origin, cancellationToken),
    };

    private static async ValueTask<Stream> DialAsync(
        SocketsHttpConnectionContext context, UpstreamOrigin origin, CancellationToken cancellationToken)
    {
        var host = context.DnsEndPoint.Host.Trim('[', ']');
        // A host other than the requested one is a proxy, from the machine's proxy settings.
        var isConfigured = host.Equals(origin.BaseAddress.Host, StringComparison.OrdinalIgnoreCase)
            || !host.Equals(Named(context.InitialRequestMessage), StringComparison.OrdinalIgnoreCase);
        if (isConfigured)
            return await HappyEyeballs.ConnectAsync(context, cancellationToken);
        // The addresses that were checked, and not those of another look-up of the name, which may be others.
        var addresses = await PublicAddressesAsync(host, origin, cancellationToken);
        return await HappyEyeballs.ConnectAsync(addresses, context.DnsEndPoint.Port, cancellationToken);
    }

    // The requested host, as the connection pool spells it: in ASCII. For https through a proxy the request is CONNECT to the proxy, and
    // its Host header has the requested host.
    internal static string Named(HttpRequestMessage request) => (request.Method == HttpMethod.Connect && request.Headers.Host is { } target
        ? target[..target.LastIndexOf(':')]
        : request.RequestUri!.IdnHost).Trim('[', ']');

    // A redirect or a token realm named this host. It must not lead into the mirror's own network, unless the upstream is in there too.
    private static async Task<IPAddress[]> PublicAddressesAsync(string host, UpstreamOrigin origin, CancellationToken cancellationToken)
    {
        var addresses = await Dns.GetHostAddressesAsync(host, cancellationToken);
        if (origin.AllowsInternal || addresses.All(IsPublic))
            return addresses;
        var upstream = await Dns.GetHostAddressesAsync(origin.BaseAddress.Host, cancellationToken);
        if (upstream.All(IsPublic))
            throw new HttpRequestException($"{host} has an internal address, which the upstream may name only with proxy.allow_internal");
        return addresses;
    }

    /// <summary>Whether an address is outside this machine and its networks: in no special-purpose registry of RFC 6890.</summary>
    internal static bool IsPublic(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        // The address of a translator (NAT64) or a tunnel (6to4) contains an IPv4 address, which decides.
        var bytes = address.GetAddressBytes();
        if (Nat64.Contains(address))
            return IsPublic(new IPAddress(bytes.AsSpan(12)));
        if (SixToFour.Contains(address))
            return IsPublic(new IPAddress(bytes.AsSpan(2, 4)));
        return !Array.Exists(Internal, network => network.Contains(address));
    }

    private static readonly IPNetwork Nat64 = IPNetwork.Parse("64:ff9b::/96");
    private static readonly IPNetwork SixToFour = IPNetwork.Parse("2002::/16");

    private static readonly IPNetwork[] Internal =
    [
        .. ((string[])["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
            "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
            "240.0.0.0/4", "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7",
            "fe80::/10", "fec0::/10", "ff00::/8"]).Select(IPNetwork.Parse),
    ];
}
