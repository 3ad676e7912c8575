using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mirror.Configuration;

/// <summary>
/// An address to listen on, as Go writes it: <c>:5000</c> is every interface, <c>localhost:5000</c> is both loopback addresses,
/// <c>10.0.0.1:5000</c> and <c>[::1]:5000</c> are one interface. A host name is resolved when the server starts to listen.
/// </summary>
/// <param name="Host">Empty for every interface. An IPv6 address has no brackets.</param>
/// <param name="Port">From 0 to 65535. With 0 the system chooses the port.</param>
public readonly record struct ListenAddress(string Host, int Port)
{
    /// <summary>The path of a Unix socket, which is in place of host and port; null where there is none.</summary>
    public string? Socket { get; private init; }

    /// <summary>The address of a Unix socket.</summary>
    public static ListenAddress OfSocket(string path) => new("localhost", 0) { Socket = Path.GetFullPath(path) };

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

    /// <exception cref="FormatException">The text is not an address to listen on.</exception>
    public static ListenAddress Parse(string s) =>
        TryParse(s, out var address) ? address : throw new FormatException($"'{s}' is not an address to listen on, host:port or :port.");

    /// <summary>Whether only this machine can reach the address.</summary>
    public bool IsLoopback => IsLocalhost || IPAddress.TryParse(Host, out var ip) && IPAddress.IsLoopback(ip);

    /// <summary>Whether the address stands for every interface.</summary>
    public bool IsAnyInterface => Host is "" or "0.0.0.0" || IPAddress.TryParse(Host, out var ip) && ip.Equals(IPAddress.IPv6Any);

    private bool IsLocalhost => Host.Equals("localhost", StringComparison.OrdinalIgnoreCase);

    /// <summary>Makes Kestrel listen here.</summary>
    /// <param name="listener">What its connections will be known by: see <see cref="Listener.Accepted"/>.</param>
    /// <param name="configure">Sets the rest of the endpoint: protocols, TLS.</param>
    /// <exception cref="IOException">The host name cannot be resolved.</exception>
    public void Listen(KestrelServerOptions kestrel, Listener listener, Action<ListenOptions> configure)
    {
        Listen(kestrel, endpoint =>
        {
            endpoint.Use(next => connection =>
            {
                connection.Features.Set(listener);
                return next(connection);
            });
            configure(endpoint);
        });
    }

    private void Listen(KestrelServerOptions kestrel, Action<ListenOptions> configure)
    {
        if (Socket is not null)
            kestrel.ListenUnixSocket(Socket, configure);
        else if (Host is "")
            kestrel.ListenAnyIP(Port, configure);
        else if (IsLocalhost && Port != 0)
            kestrel.ListenLocalhost(Port, configure);
        else if (IsLocalhost)
            // The system would choose a different port for each of the two loopback addresses.
            kestrel.Listen(IPAddress.Loopback, Port, configure);
        else
            kestrel.Listen(IPAddress.TryParse(Host, out var ip) ? ip : Resolve(Host), Port, configure);
    }

    /// <summary>Removes the socket that a server left which has ended. <c>registry:2</c> does the same.</summary>
    /// <exception cref="IOException">A server listens there, or the file is no socket.</exception>
    public void RemoveStaleSocket()
    {
        if (Socket is null || !Path.Exists(Socket))
            return;
        if (IsReadable(Socket))
            throw new IOException($"cannot listen on {Socket}: the file exists and is not a socket");
        using var probe = new System.Net.Sockets.Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(Socket));
        }
        catch (SocketException)
        {
            File.Delete(Socket);
            return;
        }
        throw new IOException($"cannot listen on {Socket}: another server does");
    }

    // A socket is the only kind of file that cannot be opened.
    private static bool IsReadable(string path)
    {
        try
        {
            using var file = File.OpenHandle(path);
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    public override string ToString() => Socket is not null ? Socket
        : Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";

    // Go takes one address of a name too, and prefers IPv4.
    private static IPAddress Resolve(string host)
    {
        try
        {
            return Dns.GetHostAddresses(host).OrderBy(ip => ip.AddressFamily != AddressFamily.InterNetwork).First();
        }
        catch (SocketException unknown)
        {
            throw new IOException($"cannot listen on {host}, which names no address of this machine: {unknown.Message}", unknown);
        }
    }
}
