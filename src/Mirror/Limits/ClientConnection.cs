using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Mirror.Limits;

/// <summary>
/// One connection of a client, and whether it comes forward. A connection is <em>stuck</em> while each of its requests waits for the
/// client, or while it has no request at all.
/// </summary>
#pragma warning disable CA1001 // A semaphore without a wait handle holds only memory.
public sealed class ClientConnection
#pragma warning restore CA1001
{
    private readonly ConnectionContext _connection;
    private readonly SemaphoreSlim _share;
    private readonly Func<bool> _othersWait;
    // Requests that wait for this server, or for an upstream, and not for the client.
    private int _busy;
    private long _moved = Environment.TickCount64;

    /// <param name="maxTransfers">How many bodies its streams may have on their way at the same time.</param>
    /// <param name="othersWait">Whether all places for connections are taken.</param>
    public ClientConnection(ConnectionContext connection, int maxTransfers, Func<bool> othersWait) =>
        (_connection, _share, _othersWait) = (connection, new(maxTransfers), othersWait);

    /// <summary>When it last came forward, in ms of <see cref="Environment.TickCount64"/>; null while it is not stuck.</summary>
    public long? StuckSince => Volatile.Read(ref _busy) <= 0 ? Volatile.Read(ref _moved) : null;

    /// <summary>What was last noted of the client; any request of the connection may replace it.</summary>
    public object? Noted { get; set; }

    public void RequestStarted()
    {
        Interlocked.Increment(ref _busy);
        // Clients take turns then. Otherwise those that ask again and again keep all places.
        if (_othersWait())
            _connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
    }

    public void RequestEnded()
    {
        Moved();
        Interlocked.Decrement(ref _busy);
    }

    /// <summary>A request waits for the client, until <see cref="GoesOn"/>.</summary>
    internal void WaitsForClient() => Interlocked.Decrement(ref _busy);

    internal void GoesOn() => Interlocked.Increment(ref _busy);

    internal void Moved() => Volatile.Write(ref _moved, Environment.TickCount64);

    /// <summary>Takes a part of the connection's share, until <see cref="GiveShareBack"/>; false where none is free.</summary>
    internal bool TryTakeShare() => _share.Wait(0);

    internal Task TakeShareAsync(CancellationToken cancellationToken) => _share.WaitAsync(cancellationToken);

    internal void GiveShareBack() => _share.Release();

    /// <summary>Closes it at once.</summary>
    internal void Close() => _connection.Abort(new ConnectionAbortedException("Connections run short, and this one was the slowest."));
}
