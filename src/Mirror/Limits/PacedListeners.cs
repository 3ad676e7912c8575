using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Mirror.Limits;

/// <summary>
/// Takes new connections from the system only while there is room for them; until then they wait there, in their order, and those that
/// are stuck make room. Kestrel takes all that wait in one turn, also those that it closes right away for being too many, and until then
/// each has a file that a connection already served may need.
/// </summary>
internal sealed class PacedListeners(SocketTransportFactory sockets, ClientConnections connections)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(20);

    public bool CanBind(EndPoint endpoint) => sockets.CanBind(endpoint);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Paced(await sockets.BindAsync(endpoint, cancellationToken), connections);

    private sealed class Paced(IConnectionListener listener, ClientConnections connections) : IConnectionListener
    {
        private readonly SemaphoreSlim _room = new(OpenFiles.MaxConnections);
        private readonly CancellationTokenSource _unbound = new();

        public EndPoint EndPoint => listener.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            try
            {
                while (!await _room.WaitAsync(LookEvery, _unbound.Token))
                    connections.CloseSlowest();
            }
            catch (OperationCanceledException)
            {
                return null;
            }
            ConnectionContext? connection = null;
            try
            {
                connection = await listener.AcceptAsync(cancellationToken);
                return connection;
            }
            finally
            {
                if (connection is null)
                    _room.Release();
                else
                    connection.ConnectionClosed.UnsafeRegister(static room => ((SemaphoreSlim)room!).Release(), _room);
            }
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            await _unbound.CancelAsync();
            await listener.UnbindAsync(cancellationToken);
        }

        public async ValueTask DisposeAsync()
        {
            await listener.DisposeAsync();
            // Not the semaphore, which a connection may still give back to.
            _unbound.Dispose();
        }
    }
}
