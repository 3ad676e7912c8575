using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mirror.Configuration;

/// <summary>
/// An address to listen on, as Go writes it: <c>:5000</c> is every interface, <c>localhost:5000</c> both loopbacks,
/// <c>10.0.0.1:5000</c> and <c>[::1]:5000</c> one interface. A name is looked up when listening begins.
/// </summary>
/// <param name="Host">Empty for every interface; IPv6 without its brackets.</param>
/// <param name="Port">0 to 65535; 0 lets the system choose.</param>
public readonly record struct ListenAddress(string Host, int Port) : IParsable<ListenAddress>
{
    public static bool TryParse([NotNullWhen(true)] string? s, out ListenAddress address)
    {
        address = default;
        var colon = s?.LastIndexOf(':') ?? -1;
        if (colon < 0 || !ushort.TryParse(s.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
            return false;

        var host = s![..colon];
        var valid = host switch
        {
            "" => true,
            ['[', .. var inner, ']'] => IPAddress.TryParse(inner, out var ip) && ip.AddressFamily == AddressFamily.InterNetworkV6,
            _ => Uri.CheckHostName(host) is UriHostNameType.Dns or UriHostNameType.IPv4,
        };
        if (valid)
            address = new ListenAddress(host.Trim('[', ']'), port);
        return valid;
    }

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out ListenAddress result) => TryParse(s, out result);

    /// <exception cref="FormatException">The text is not an address to listen on.</exception>
    public static ListenAddress Parse(string s, IFormatProvider? provider = null) =>
        TryParse(s, out var address) ? address : throw new FormatException($"'{s}' is not an address to listen on: host:port or :port.");

    /// <summary>Whether only this machine can reach the address.</summary>
    public bool IsLoopback => IsLocalhost || IPAddress.TryParse(Host, out var ip) && IPAddress.IsLoopback(ip);

    /// <summary>Whether the address names no interface in particular.</summary>
    public bool IsAnyInterface => Host is "" or "0.0.0.0" || IPAddress.TryParse(Host, out var ip) && ip.Equals(IPAddress.IPv6Any);

    private bool IsLocalhost => Host.Equals("localhost", StringComparison.OrdinalIgnoreCase);

    /// <summary>Makes Kestrel listen here.</summary>
    /// <param name="configure">What else is to be set on the endpoint: protocols, TLS.</param>
    /// <exception cref="SocketException">The host is a name that does not resolve.</exception>
    public void Listen(KestrelServerOptions kestrel, Action<ListenOptions> configure)
    {
        if (Host is "")
            kestrel.ListenAnyIP(Port, configure);
        else if (IsLocalhost && Port != 0)
            kestrel.ListenLocalhost(Port, configure);
        else if (IsLocalhost)
            // Two loopbacks cannot be given one port that the system chooses.
            kestrel.Listen(IPAddress.Loopback, Port, configure);
        else
            kestrel.Listen(IPAddress.TryParse(Host, out var ip) ? ip : Resolve(Host), Port, configure);
    }

    public override string ToString() => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";

    // Go too takes one address of a name, IPv4 before IPv6.
    private static IPAddress Resolve(string host) =>
        Dns.GetHostAddresses(host).OrderBy(ip => ip.AddressFamily != AddressFamily.InterNetwork).First();
}
