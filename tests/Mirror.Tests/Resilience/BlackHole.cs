using System.Net;
using System.Net.Sockets;

namespace Mirror.Tests.Resilience;

/// <summary>An address where connections are neither accepted nor refused: a listener whose queue is full.</summary>
internal sealed class BlackHole : IDisposable
{
    private readonly List<Socket> _sockets = [];

    public BlackHole(Uri address)
    {
        var end = new IPEndPoint(IPAddress.Parse(address.Host), address.Port);
        var listener = New(end.AddressFamily);
        listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Bind(end);
        listener.Listen(0);
        end = (IPEndPoint)listener.LocalEndPoint!;
        Port = end.Port;
        for (var i = 0; i < 8; i++)
        {
            var filler = New(end.AddressFamily);
            filler.Blocking = false;
            try
            {
                filler.Connect(end);
            }
            catch (SocketException)
            {
                // On its way, which is all it is for.
            }
        }
    }

    public int Port { get; }

    public void Dispose() => _sockets.ForEach(socket => socket.Dispose());

    private Socket New(AddressFamily family)
    {
        var socket = new Socket(family, SocketType.Stream, ProtocolType.Tcp);
        _sockets.Add(socket);
        return socket;
    }
}
