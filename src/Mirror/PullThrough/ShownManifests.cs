using System.Collections.Concurrent;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// Whether upstream sends manifests that are not stored, as far as it has shown lately. A HEAD shows that it does. But some registries
/// answer HEAD for a manifest that they do not send, such as one of several servers during a push. So a GET that failed counts for more.
/// </summary>
internal sealed class ShownManifests(TimeProvider time)
{
    private const int MaxManifests = 10_000;
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(5);

    private readonly ConcurrentDictionary<(RepositoryName, Digest), (bool IsSent, long At)> _shown = new();

    /// <summary>Whether upstream sends it: true after a HEAD, false after a GET that failed, and null if neither was lately.</summary>
    public bool? IsSent(RepositoryName name, Digest digest) =>
        _shown.TryGetValue((name, digest), out var shown) && time.GetElapsedTime(shown.At) < Life ? shown.IsSent : null;

    /// <summary>Upstream answered a HEAD.</summary>
    public void HeadAnswered(RepositoryName name, Digest digest)
    {
        if (IsSent(name, digest) is not false)
            Set(name, digest, isSent: true);
    }

    /// <summary>Upstream sent it.</summary>
    public void GetAnswered(RepositoryName name, Digest digest) => _shown.TryRemove((name, digest), out _);

    /// <summary>Upstream did not send it.</summary>
    public void GetFailed(RepositoryName name, Digest digest) => Set(name, digest, isSent: false);

    // What is forgotten costs one more HEAD, or one more GET that fails.
    private void Set(RepositoryName name, Digest digest, bool isSent)
    {
        if (_shown.Count >= MaxManifests)
            _shown.Clear();
        _shown[(name, digest)] = (isSent, time.GetTimestamp());
    }
}
