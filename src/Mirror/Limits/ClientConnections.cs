using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;

namespace Mirror.Limits;

/// <summary>
/// Every connection of a client. When they run short, those that are stuck for the longest are closed, so that there are always some for
/// newcomers. Where no connection is stuck, newcomers wait (<see cref="PacedListeners"/>).
/// </summary>
internal sealed class ClientConnections
{
    // Lawful clients are stuck for shorter than this, but for connections that they keep for later.
    private const int MinStuck = 1000;
    // One look at every connection costs little, but not for each connection of a flood.
    private const int LookEvery = 20;

    private static readonly int Many = OpenFiles.MaxConnections * 7 / 8;
    private static readonly int MaxTransfersOfOne = Math.Max(8, OpenFiles.MaxTransfers / 64);

    private readonly ConcurrentDictionary<ClientConnection, bool> _open = new();
    private int _count;
    private long _looked;

    /// <summary>Counts a connection of an endpoint for as long as it lasts, before anything else is done with it.</summary>
    public ConnectionDelegate Around(ConnectionDelegate next) => async connection =>
    {
        var client = new ClientConnection(connection, MaxTransfersOfOne);
        connection.Features.Set(client);
        _open.TryAdd(client, true);
        try
        {
            if (Interlocked.Increment(ref _count) > Many)
                CloseSlowest();
            await next(connection);
        }
        finally
        {
            Interlocked.Decrement(ref _count);
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
            .Take(Math.Max(1, OpenFiles.MaxConnections / 64));
        foreach (var (client, _) in stuck)
            client.Close();
    }
}
