using System.Collections.Concurrent;
using Mirror.Storage.Disk;

namespace Mirror.Storage.Files;

/// <summary>
/// What was read from folders. A folder is read again only after it has changed, so a request costs one look at its modification time.
/// Every process that adds or deletes a name in the folder changes that time.
/// </summary>
/// <remarks>
/// That time advances in steps: of 10 ms in most file systems, of a second or two in some. If a folder changes twice in one step, what was
/// read between the two lacks the second change, and the time does not show it. So what was read lasts only if the folder had the same time
/// more than a step before. This needs no clock of the file system, which may differ from that of the machine.
/// </remarks>
/// <param name="read">Reads a folder, and adds the folders that this process may not read.</param>
/// <param name="sizeOf">How many names there are in what was read.</param>
/// <param name="unreadable">Collects the folders that this process may not read.</param>
internal sealed class RememberedFolders<T>(
    Func<string, UnreadableFolders, T> read, Func<T, int> sizeOf, UnreadableFolders? unreadable, TimeProvider time)
{
    private static readonly TimeSpan LongestStep = TimeSpan.FromSeconds(3);

    // Folders and names together: about 100 MiB.
    private const int MaxNames = 500_000;

    private readonly ConcurrentDictionary<string, Entry> _folders = new();
    private int _names;

    public T Read(string path)
    {
        // For a missing folder the framework returns a time long ago.
        var changed = Entries.OrSkip(path, unreadable, () => Directory.GetLastWriteTimeUtc(path));
        var known = _folders.TryGetValue(path, out var entry) && entry.Changed == changed ? entry : null;
        if (known is { Lasts: true })
            return known.Value;
        var seen = known?.Seen ?? time.GetTimestamp();
        var lasts = time.GetElapsedTime(seen) > LongestStep;
        // If an operator gives this process the right to read a folder, the folder's time does not change. So do not remember a folder that
        // this process may not read.
        UnreadableFolders refused = new();
        refused.Found += folder => unreadable?.Add(folder);
        var value = read(path, refused);
        if (refused.Any is null)
            Remember(path, new Entry(changed, seen, lasts, value));
        return value;
    }

    private void Remember(string path, Entry entry)
    {
        if (_folders.TryRemove(path, out var old))
            Interlocked.Add(ref _names, -SizeOf(old));
        if (Volatile.Read(ref _names) + SizeOf(entry) > MaxNames)
        {
            _folders.Clear();
            Volatile.Write(ref _names, 0);
        }
        if (_folders.TryAdd(path, entry))
            Interlocked.Add(ref _names, SizeOf(entry));
    }

    private int SizeOf(Entry entry) => sizeOf(entry.Value) + 1;

    /// <param name="Changed">The folder's modification time.</param>
    /// <param name="Seen">When it was first seen to have this time.</param>
    /// <param name="Lasts">Whether a further change gives the folder another time.</param>
    private sealed record Entry(DateTime Changed, long Seen, bool Lasts, T Value);
}
