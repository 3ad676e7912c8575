using System.Net;
using System.Net.Sockets;

namespace Mirror.Tests.Peers;

/// <summary>Free ports on the loopback address, none given twice in a run.</summary>
internal static class Ports
{
    // Two test programs run side by side: one has the even ports, the other one the odd ones.
    private static readonly int Side = typeof(Ports).Assembly.GetName().Name!.Contains("Storage", StringComparison.Ordinal) ? 1 : 0;

    private static int _next = Random.Shared.Next(5000);

    /// <summary>A port below the range the kernel takes for outgoing connections, so that none of those can be in the way later.</summary>
    internal static int Free()
    {
        while (true)
        {
            var port = 20000 + 2 * (Interlocked.Increment(ref _next) % 6000) + Side;
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
