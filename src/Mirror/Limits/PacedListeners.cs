using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
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
    public bool CanBind(EndPoint endpoint) => sockets.CanBind(endpoint);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Paced(await sockets.BindAsync(endpoint, cancellationToken), connections);

    private sealed class Paced(IConnectionListener listener, ClientConnections connections) : IConnectionListener
    {
        private readonly CancellationTokenSource _unbound = new();

        public EndPoint EndPoint => listener.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            var taken = 0;
            try
            {
                for (; taken < ConnectionPlace.Files; taken++)
                    await connections.TakeFileAsync(maxWait: null, _unbound.Token);
                if (await listener.AcceptAsync(cancellationToken) is not { } connection)
                    return null;
                taken = 0;
                return new PlacedConnection(connection, new ConnectionPlace(connections));
            }
            catch (OperationCanceledException) when (_unbound.IsCancellationRequested)
            {
                return null;
            }
            finally
            {
                if (taken > 0)
                    connections.FreeFiles.Release(taken);
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
            _unbound.Dispose();
        }
    }

    // Has its place until its files are closed: its own, and those of its requests. A connection that is being closed has them a while.
    private sealed class PlacedConnection : ConnectionContext
    {
        private readonly ConnectionContext _inner;
        private readonly ConnectionPlace _place;

        public PlacedConnection(ConnectionContext inner, ConnectionPlace place)
        {
            (_inner, _place) = (inner, place);
            inner.Features.Set(place);
        }

        public override string ConnectionId
        {
            get => _inner.ConnectionId;
            set => _inner.ConnectionId = value;
        }

        public override IFeatureCollection Features => _inner.Features;

        public override IDictionary<object, object?> Items
        {
            get => _inner.Items;
            set => _inner.Items = value;
        }

        public override IDuplexPipe Transport
        {
            get => _inner.Transport;
            set => _inner.Transport = value;
        }

        public override CancellationToken ConnectionClosed
        {
            get => _inner.ConnectionClosed;
            set => _inner.ConnectionClosed = value;
        }

        public override EndPoint? LocalEndPoint
        {
            get => _inner.LocalEndPoint;
            set => _inner.LocalEndPoint = value;
        }

        public override EndPoint? RemoteEndPoint
        {
            get => _inner.RemoteEndPoint;
            set => _inner.RemoteEndPoint = value;
        }

        public override void Abort() => _inner.Abort();

        public override void Abort(ConnectionAbortedException abortReason)
        {
            Features.Get<ClientConnection>()?.NoteClosing(abortReason);
            _inner.Abort(abortReason);
        }

        public override async ValueTask DisposeAsync()
        {
            try
            {
                await _inner.DisposeAsync();
                await base.DisposeAsync();
            }
            finally
            {
                _place.GiveBack();
            }
        }
    }
}
