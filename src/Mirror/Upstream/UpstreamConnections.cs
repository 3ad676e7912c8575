using System.Net;
using System.Net.Sockets;

namespace Mirror.Upstream;

/// <summary>How an upstream and the hosts it redirects to are dialled.</summary>
internal static class UpstreamConnections
{
    /// <summary>The innermost handler: no redirects, decompression, cookies or credentials of its own.</summary>
    public static SocketsHttpHandler Create(UpstreamOrigin origin, UpstreamTls tls) => new()
    {
        SslOptions = tls.Options(),
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(5),
        // DNS answers of a CDN change by the minute.
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        MaxConnectionsPerServer = 256,
        MaxResponseHeadersLength = 64, // KiB
        ResponseDrainTimeout = TimeSpan.FromSeconds(1),
        InitialHttp2StreamWindowSize = 1 << 20,
        ConnectCallback = (context, cancellationToken) => DialAsync(context, origin, cancellationToken),
    };

    private static async ValueTask<Stream> DialAsync(SocketsHttpConnectionContext context, UpstreamOrigin origin, CancellationToken cancellationToken)
    {
        var host = context.DnsEndPoint.Host.Trim('[', ']');
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            // Dialled because upstream's own address says so, or because the machine's proxy settings do.
            var named = Named(context.InitialRequestMessage);
            if (host.Equals(origin.BaseAddress.Host, StringComparison.OrdinalIgnoreCase) || !host.Equals(named, StringComparison.OrdinalIgnoreCase))
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            else
                await socket.ConnectAsync(await PublicAddressesAsync(host, origin, cancellationToken), context.DnsEndPoint.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // As the connection pool spells it: a name of other letters in ASCII. Through a proxy, https begins with CONNECT to the proxy, and the host that is meant stands in its Host header.
    internal static string Named(HttpRequestMessage request) =>
        request.Method == HttpMethod.Connect && request.Headers.Host is { } target ? target[..target.LastIndexOf(':')].Trim('[', ']') : request.RequestUri!.IdnHost.Trim('[', ']');

    // The network named this host: a redirect or a token realm must not reach into our own network, unless the upstream is in there itself.
    private static async Task<IPAddress[]> PublicAddressesAsync(string host, UpstreamOrigin origin, CancellationToken cancellationToken)
    {
        var addresses = await Dns.GetHostAddressesAsync(host, cancellationToken);
        if (origin.AllowsInternal || addresses.All(IsPublic))
            return addresses;
        var upstream = await Dns.GetHostAddressesAsync(origin.BaseAddress.Host, cancellationToken);
        if (upstream.All(IsPublic))
            throw new HttpRequestException($"{host} has an internal address: it is not dialled on an upstream's word.");
        return addresses;
    }

    /// <summary>False for addresses of this machine and its networks (the special-purpose registries of RFC 6890).</summary>
    internal static bool IsPublic(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        // A translator's or a tunnel's address is as internal as the IPv4 address inside.
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
            "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10",
            "ff00::/8"]).Select(IPNetwork.Parse),
    ];
}
