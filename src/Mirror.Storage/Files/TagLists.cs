using System.Collections.Concurrent;

namespace Mirror.Storage.Files;

/// <summary>
/// The sorted names in folders of tags, read again only when a folder changed: a page of ten thousand tags then costs one look at the
/// folder's time. Whoever changes the folder, this process or another, changes that time with it.
/// </summary>
internal sealed class TagLists
{
    // The clock behind a folder's time ticks every 10 ms at worst: a list read within such a tick of the last change may lack the next one.
    private static readonly TimeSpan Racy = TimeSpan.FromMilliseconds(100);

    // Of all lists together, in tags: some 60 MiB at most.
    private const int MaxTags = 500_000;

    private readonly ConcurrentDictionary<string, Entry> _lists = new();
    private int _tags;

    /// <summary>The tags in a folder, in ordinal order; empty where there is no such folder.</summary>
    public IReadOnlyList<string> Read(string path)
    {
        var folder = new DirectoryInfo(path);
        if (!folder.Exists)
        {
            Forget(path);
            return [];
        }
        var changed = folder.LastWriteTimeUtc;
        if (_lists.TryGetValue(path, out var known) && known.Changed == changed)
            return known.Tags;

        var now = DateTime.UtcNow;
        string[] tags = [.. folder.EnumerateDirectories().Select(tag => tag.Name).Where(Reference.IsTagName)];
        Array.Sort(tags, StringComparer.Ordinal);
        if (now - changed > Racy)
            Remember(path, new Entry(changed, tags));
        return tags;
    }

    private void Remember(string path, Entry entry)
    {
        Forget(path);
        if (Volatile.Read(ref _tags) + entry.Tags.Length > MaxTags)
        {
            _lists.Clear();
            Volatile.Write(ref _tags, 0);
        }
        if (_lists.TryAdd(path, entry))
            Interlocked.Add(ref _tags, entry.Tags.Length);
    }

    private void Forget(string path)
    {
        if (_lists.TryRemove(path, out var old))
            Interlocked.Add(ref _tags, -old.Tags.Length);
    }

    private sealed record Entry(DateTime Changed, string[] Tags);
}
