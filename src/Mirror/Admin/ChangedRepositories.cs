using System.Collections.Concurrent;
using Mirror.Fleet;
using Mirror.Storage;

namespace Mirror.Admin;

/// <summary>The repositories that have changed since <see cref="ImageIndex"/> last saw them.</summary>
public sealed class ChangedRepositories
{
    // Of more tags, the index notes what they name when it reads their repository.
    private const int MaxTags = 10_000;

    // More repositories than this are not remembered one by one.
    private const int MaxNames = 10_000;

    private readonly ConcurrentDictionary<RepositoryName, bool> _names = new();
    private readonly ConcurrentQueue<(RepositoryName Name, string Tag, Digest Digest, DateTimeOffset Since)> _tags = new();
    private readonly TimeProvider _time;
    private int _lost;

    public ChangedRepositories(Announcements announcements, TimeProvider time)
    {
        _time = time;
        announcements.TagChanged += (name, _) => Note(name);
        announcements.ContentRemoved += (name, _) => Note(name);
    }

    /// <summary>A repository has changed, here or in another replica. What is called must not wait.</summary>
    public event Action<RepositoryName>? Noted;

    /// <summary>A repository has changed.</summary>
    public void Note(RepositoryName name)
    {
        Noted?.Invoke(name);
        if (_names.ContainsKey(name))
            return;
        if (_names.Count < MaxNames)
            _names.TryAdd(name, true);
        else
            Volatile.Write(ref _lost, 1);
    }

    /// <summary>A tag was set in a repository.</summary>
    public void NoteTag(RepositoryName name, string tag, Digest digest)
    {
        if (_tags.Count < MaxTags)
            _tags.Enqueue((name, tag, digest, _time.GetUtcNow()));
        Note(name);
    }

    /// <summary>Takes the tags that were set since the last call, the oldest first.</summary>
    public IEnumerable<(RepositoryName Name, string Tag, Digest Digest, DateTimeOffset Since)> TakeTags()
    {
        while (_tags.TryDequeue(out var set))
            yield return set;
    }

    /// <summary>Takes one of them.</summary>
    public bool TryTake(out RepositoryName name)
    {
        foreach (var (changed, _) in _names)
            if (_names.TryRemove(changed, out _))
            {
                name = changed;
                return true;
            }
        name = default;
        return false;
    }

    /// <summary>Whether more repositories have changed than were remembered; only the first call after that says so.</summary>
    public bool TakeLost() => Interlocked.Exchange(ref _lost, 0) == 1;
}
