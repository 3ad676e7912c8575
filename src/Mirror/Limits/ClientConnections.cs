using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;

namespace Mirror.Limits;

/// <summary>
/// All connections of clients. When few places are left, it closes the connections that have been stuck for the longest time, so that new
/// clients find a place. If no connection is stuck, the new one waits (<see cref="PacedListeners"/>).
/// </summary>
/// <param name="downloads">How many downloads share their files with connections: connections may use these files while no download
/// needs them.</param>
public sealed class ClientConnections(int downloads)
{
    // In milliseconds. Well-behaved clients are stuck for a shorter time, except on connections that they keep for later.
    private const int MinStuck = 1000;
    // In milliseconds. To look through all connections is cheap once, but too expensive for each new connection of a flood.
    private const int LookEvery = 20;

    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(LookEvery);
    private static readonly int MaxTransfersOfOne = Math.Max(8, OpenFiles.MaxTransfers / 64);

    private readonly int _all = FilesWith(downloads);
    private readonly ConcurrentDictionary<ClientConnection, bool> _open = new();
    private long _looked;

    /// <summary>
    /// The open files that are free for connections, and for the downloads that no upstream has for itself. A listener takes the files of
    /// a connection (<see cref="ConnectionPlace"/>) before it accepts the connection.
    /// </summary>
    internal SemaphoreSlim FreeFiles { get; } = new(FilesWith(downloads));

    /// <summary>Counts a connection of an endpoint for as long as it lasts. It comes before all other steps of the connection.</summary>
    public ConnectionDelegate Around(ConnectionDelegate next) => async connection =>
    {
        var client = new ClientConnection(connection, MaxTransfersOfOne, this);
        connection.Features.Set(client);
        _open.TryAdd(client, true);
        try
        {
            CloseStuckIfFull();
            await next(connection);
        }
        finally
        {
            _open.TryRemove(client, out _);
        }
    };

    /// <summary>Takes a file of <see cref="FreeFiles"/>. While none is free, connections that are stuck are closed.</summary>
    /// <returns>False if none came free in the given time.</returns>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public async ValueTask<bool> TakeFileAsync(TimeSpan? maxWait, CancellationToken cancellationToken)
    {
        for (var waited = TimeSpan.Zero; !await FreeFiles.WaitAsync(LookInterval, cancellationToken); waited += LookInterval)
        {
            if (waited >= maxWait)
                return false;
            CloseStuckIfFull();
        }
        return true;
    }

    /// <summary>Takes files of <see cref="FreeFiles"/> for something else than a connection, if so many are free.</summary>
    public bool TryTakeFiles(int count)
    {
        for (var taken = 0; taken < count; taken++)
            if (!FreeFiles.Wait(0))
            {
                if (taken > 0)
                    FreeFiles.Release(taken);
                return false;
            }
        return true;
    }

    /// <summary>
    /// If few files are left, closes the connections that have been stuck for the longest time. It closes a few at a time, and no more than
    /// needed: an attacker connects again at once, so that closing more would only cost other clients their connections.
    /// </summary>
    public void CloseStuckIfFull()
    {
        // An eighth of the files stays free for new connections.
        var lacking = _all / 8 - FreeFiles.CurrentCount;
        if (lacking <= 0)
            return;
        var now = Environment.TickCount64;
        var looked = Interlocked.Read(ref _looked);
        if (now - looked < LookEvery || Interlocked.CompareExchange(ref _looked, now, looked) != looked)
            return;
        var stuck = _open.Keys
            .Select(client => (Client: client, Since: client.StuckSince ?? now))
            .Where(each => now - each.Since >= MinStuck)
            .OrderBy(each => each.Since)
            .Take(Math.Clamp(OpenFiles.MaxConnections / 16, 1, lacking));
        foreach (var (client, _) in stuck)
            client.Close();
    }

    /// <summary>Whether no file is free, so that a new connection has to wait.</summary>
    internal bool OthersWait => FreeFiles.CurrentCount == 0;

    /// <summary>Whether more than a quarter of the files are taken.</summary>
    internal bool IsCrowded => FreeFiles.CurrentCount < _all * 3 / 4;

    private static int FilesWith(int downloads) =>
        OpenFiles.MaxConnections * ConnectionPlace.Files + downloads * OpenFiles.OfDownload;
}
