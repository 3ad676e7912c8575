using System.Collections.Concurrent;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>
/// The names of the repositories, from the sorted children of each folder. A folder is read again only after it has changed, as in
/// <see cref="TagLists"/>. So a page costs one look at the modification time of each folder on this page, however many folders come before.
/// </summary>
internal sealed class RepositoryFolders(UnreadableFolders? unreadable)
{
    // A folder's time advances in steps of up to 10 ms. If the folder changes twice in one step, a list that was read in between lacks the
    // second change, and the time does not show it.
    private static readonly TimeSpan MinAge = TimeSpan.FromMilliseconds(100);

    // Folders and names in all lists together: about 100 MiB.
    private const int MaxNames = 500_000;

    private readonly ConcurrentDictionary<string, Entry> _folders = new();
    private int _names;

    /// <summary>The names after one, in the order of <see cref="RepositoryName.CompareTo"/>.</summary>
    /// <param name="path">The folder of all repositories.</param>
    /// <param name="after">Null for all names.</param>
    public IEnumerable<RepositoryName> Names(string path, RepositoryName? after) =>
        Walk(path, Read(path).Children, "", after is { } last ? $"{last}/" : "");

    private IEnumerable<RepositoryName> Walk(string path, string[] children, string prefix, string after)
    {
        foreach (var child in children)
        {
            var key = $"{prefix}{child}/";
            var holdsLast = after.StartsWith(key, StringComparison.Ordinal);
            if (!holdsLast && string.CompareOrdinal(key, after) < 0)
                continue;
            var folder = $"{path}/{child}";
            var entry = Read(folder);
            if (entry.IsRepository && !holdsLast && RepositoryName.TryParse(key[..^1], out var name))
                yield return name;
            foreach (var below in Walk(folder, entry.Children, key, holdsLast ? after : ""))
                yield return below;
        }
    }

    private Entry Read(string path)
    {
        // For a missing folder the framework returns a time long ago.
        var changed = Directory.GetLastWriteTimeUtc(path);
        if (_folders.TryGetValue(path, out var known) && known.Changed == changed)
            return known;
        var now = DateTime.UtcNow;
        // If an operator gives this process the right to read a folder, the folder's time does not change. So do not remember a folder that
        // this process may not read.
        UnreadableFolders refused = new();
        refused.Found += folder => unreadable?.Add(folder);
        string[] all = [.. Entries.Folders(path, refused).Select(Path.GetFileName).OfType<string>()];
        string[] children = [.. all.Where(child => RepositoryName.TryParse(child, out _))
            .Order(Comparer<string>.Create((left, right) => string.CompareOrdinal($"{left}/", $"{right}/")))];
        Entry entry = new(changed, children, all.Any(RegistryLayout.SignsOfRepository.Contains));
        if (refused.Any is null && (now - changed).Duration() > MinAge)
            Remember(path, entry);
        return entry;
    }

    private void Remember(string path, Entry entry)
    {
        if (_folders.TryRemove(path, out var old))
            Interlocked.Add(ref _names, -old.Size);
        if (Volatile.Read(ref _names) + entry.Size > MaxNames)
        {
            _folders.Clear();
            Volatile.Write(ref _names, 0);
        }
        if (_folders.TryAdd(path, entry))
            Interlocked.Add(ref _names, entry.Size);
    }

    private sealed record Entry(DateTime Changed, string[] Children, bool IsRepository)
    {
        internal int Size => Children.Length + 1;
    }
}
