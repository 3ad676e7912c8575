using System.Net;
using System.Net.Sockets;

namespace Mirror.Tests.Peers;

/// <summary>Free ports on the loopback address, none given twice in a run.</summary>
internal static class Ports
{
    private static int _next = 20000 + Random.Shared.Next(10000);

    /// <summary>A port below the range the kernel takes for outgoing connections, so that none of those can be in the way later.</summary>
    internal static int Free()
    {
        while (true)
        {
            var port = 20000 + Interlocked.Increment(ref _next) % 12000;
            try
            {
                // On every address: peers and hubs may listen on 127.0.0.2 as well.
                using var probe = new TcpListener(IPAddress.Any, port);
                probe.Start();
                return port;
            }
            catch (SocketException)
            {
                // Taken; the next one then.
            }
        }
    }
}
