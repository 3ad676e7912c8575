using System.Collections.Concurrent;
using Mirror.Fleet;
using Mirror.Storage;

namespace Mirror.Maintenance;

/// <summary>The manifests that other replicas have removed: an eviction does not look for what another replica has evicted.</summary>
public sealed class RemovedManifests
{
    // What is not remembered costs an eviction a few requests.
    private const int MaxRemembered = 10_000;

    private readonly ConcurrentQueue<(RepositoryName Name, Digest Manifest)> _removed = new();

    public RemovedManifests(Announcements announcements) => announcements.ContentRemoved += (name, manifest) =>
    {
        if (_removed.Count < MaxRemembered)
            _removed.Enqueue((name, manifest));
    };

    /// <summary>Takes those that were removed since the last call.</summary>
    public IEnumerable<(RepositoryName Name, Digest Manifest)> Take()
    {
        while (_removed.TryDequeue(out var removed))
            yield return removed;
    }
}
