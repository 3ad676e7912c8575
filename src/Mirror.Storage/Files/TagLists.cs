using System.Collections.Concurrent;
using Mirror.Storage.Disk;

namespace Mirror.Storage.Files;

/// <summary>
/// The sorted names in the folders of tags. A folder is read again only after it has changed, so a page of ten thousand tags costs one look
/// at the folder's modification time. Every process that adds or deletes a tag changes that time.
/// </summary>
internal sealed class TagLists(UnreadableFolders? unreadable)
{
    // A folder's time advances in steps of up to 10 ms. If the folder changes twice in one step, a list that was read in between lacks the
    // second change, and the time does not show it.
    private static readonly TimeSpan MinAge = TimeSpan.FromMilliseconds(100);

    // In all lists together: about 60 MiB.
    private const int MaxTags = 500_000;

    private readonly ConcurrentDictionary<string, Entry> _lists = new();
    private int _tags;

    /// <summary>The tags in a folder, in ordinal order; empty where there is no such folder.</summary>
    public IReadOnlyList<string> Read(string path)
    {
        var folder = new DirectoryInfo(path);
        if (!folder.Exists)
        {
            Remove(path);
            return [];
        }
        var changed = folder.LastWriteTimeUtc;
        if (_lists.TryGetValue(path, out var known) && known.Changed == changed)
            return known.Tags;

        var now = DateTime.UtcNow;
        string[] tags = [.. Entries.Folders(path, unreadable).Select(Path.GetFileName).OfType<string>().Where(Reference.IsTagName)];
        Array.Sort(tags, StringComparer.Ordinal);
        if ((now - changed).Duration() > MinAge)
            Add(path, new Entry(changed, tags));
        return tags;
    }

    private void Add(string path, Entry entry)
    {
        Remove(path);
        if (Volatile.Read(ref _tags) + entry.Tags.Length > MaxTags)
        {
            _lists.Clear();
            Volatile.Write(ref _tags, 0);
        }
        if (_lists.TryAdd(path, entry))
            Interlocked.Add(ref _tags, entry.Tags.Length);
    }

    private void Remove(string path)
    {
        if (_lists.TryRemove(path, out var old))
            Interlocked.Add(ref _tags, -old.Tags.Length);
    }

    private sealed record Entry(DateTime Changed, string[] Tags);
}
