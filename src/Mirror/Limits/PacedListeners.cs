using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Mirror.Limits;

/// <summary>
/// Takes new connections from the system only while there is room for them. Kestrel takes all that wait in one turn, also those that it
/// closes right away for being too many, and until then each has a file that a connection already served may need.
/// </summary>
internal sealed class PacedListeners(SocketTransportFactory sockets) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    // Those that are about to be refused.
    private const int Refused = 16;

    public bool CanBind(EndPoint endpoint) => sockets.CanBind(endpoint);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Paced(await sockets.BindAsync(endpoint, cancellationToken));

    private sealed class Paced(IConnectionListener listener) : IConnectionListener
    {
        private readonly SemaphoreSlim _room = new(OpenFiles.MaxConnections + Refused);
        private readonly CancellationTokenSource _unbound = new();

        public EndPoint EndPoint => listener.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            try
            {
                await _room.WaitAsync(_unbound.Token);
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
