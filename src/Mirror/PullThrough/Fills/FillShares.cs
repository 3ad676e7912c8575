using Mirror.Limits;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// Divides the downloads that may run at the same time between the upstreams, so that one that hangs cannot use up all of them. Half of
/// the downloads are divided evenly, and each upstream can always have its part. The other half go to the upstreams that need them first,
/// while the connections of clients leave files for them.
/// </summary>
/// <param name="upstreams">How many upstreams are configured.</param>
/// <param name="connections">All connections of clients.</param>
public sealed class FillShares(int upstreams, ClientConnections connections)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<FillSource, int> _running = [];
    private readonly int _own = OpenFiles.DownloadsOfEach(upstreams);
    private int _free = OpenFiles.DownloadsOfAny(upstreams);

    /// <summary>Takes a place for a download, until <see cref="GiveBack"/>; false where the upstream can have no further one.</summary>
    internal bool TryTake(FillSource source)
    {
        lock (_gate)
        {
            var running = _running.GetValueOrDefault(source);
            if (running >= _own)
            {
                if (_free <= 0 || !connections.TryTakeFiles(OpenFiles.OfDownload))
                    return false;
                _free--;
            }
            _running[source] = running + 1;
            return true;
        }
    }

    /// <summary>Gives a place back.</summary>
    internal void GiveBack(FillSource source)
    {
        lock (_gate)
            if (--_running[source] >= _own)
            {
                _free++;
                connections.FreeFiles.Release(OpenFiles.OfDownload);
            }
    }
}
