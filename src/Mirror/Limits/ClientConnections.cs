using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;

namespace Mirror.Limits;

/// <summary>
/// All connections of clients. When few places are left, it closes the connections that have been stuck for the longest time, so that new
/// clients find a place. If no connection is stuck, the new one waits (<see cref="PacedListeners"/>).
/// </summary>
internal sealed class ClientConnections
{
    // In milliseconds. Lawful clients are stuck for a shorter time, except on connections that they keep for later.
    private const int MinStuck = 1000;
    // In milliseconds. To look at all connections costs little, but too much for each connection of a flood.
    private const int LookEvery = 20;

    private static readonly int Few = OpenFiles.MaxConnections - OpenFiles.MaxConnections * 7 / 8;
    private static readonly int MaxTransfersOfOne = Math.Max(8, OpenFiles.MaxTransfers / 64);

    private readonly ConcurrentDictionary<ClientConnection, bool> _open = new();
    private long _looked;

    /// <summary>The places of all connections, of every listener. One that waits for a connection has its place already.</summary>
    internal SemaphoreSlim Places { get; } = new(OpenFiles.MaxConnections);

    /// <summary>Counts a connection of an endpoint for as long as it lasts. It comes before all other steps of the connection.</summary>
    public ConnectionDelegate Around(ConnectionDelegate next) => async connection =>
    {
        var client = new ClientConnection(connection, MaxTransfersOfOne, OthersWait);
        connection.Features.Set(client);
        _open.TryAdd(client, true);
        try
        {
            if (Places.CurrentCount < Few)
                CloseSlowest();
            await next(connection);
        }
        finally
        {
            _open.TryRemove(client, out _);
        }
    };

    /// <summary>Closes those that are stuck for the longest, a few at a time: whose client means harm connects again.</summary>
    public void CloseSlowest()
    {
        var now = Environment.TickCount64;
        var looked = Interlocked.Read(ref _looked);
        if (now - looked < LookEvery || Interlocked.CompareExchange(ref _looked, now, looked) != looked)
            return;
        var stuck = _open.Keys
            .Select(client => (Client: client, Since: client.StuckSince ?? now))
            .Where(each => now - each.Since >= MinStuck)
            .OrderBy(each => each.Since)
            .Take(Math.Max(1, OpenFiles.MaxConnections / 16));
        foreach (var (client, _) in stuck)
            client.Close();
    }

    private bool OthersWait() => Places.CurrentCount == 0;
}
