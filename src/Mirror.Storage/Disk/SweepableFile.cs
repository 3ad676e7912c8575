namespace Mirror.Storage.Disk;

/// <summary>
/// Files that one process may sweep while others claim them, without a lock between the two. A claim sets the file's time. The sweep renames the
/// file aside first and looks at its time only then: a claim that succeeded before the rename is seen, and one that comes after it
/// finds the file gone and gives it back its name. Why that is enough: <see cref="GarbageCollection.Sweeper"/>.
/// </summary>
/// <remarks>
/// Only the sweep removes the name aside, and there is one sweep at a time; everyone else may only link it back, which never replaces a file that
/// is there. So a process that stops in the middle, for ever or for an hour, harms nothing.
/// </remarks>
internal static class SweepableFile
{
    private const string Suffix = ".swept";

    public static bool Exists(string path) => File.Exists(path) || PutBack(path);

    /// <summary>Claims a file; false where there is none.</summary>
    public static bool Touch(string path)
    {
        do
        {
            // The file whose time was set may have lost its name since it was opened: only a name that has that time, or a later one, is claimed.
            if (Durable.Touch(path) is { } claimed && new FileInfo(path) is { Exists: true } named && named.LastWriteTimeUtc >= claimed)
                return true;
        }
        while (PutBack(path));
        return false;
    }

    /// <summary>
    /// Gives a flushed file its final name, or claims what has that name already and drops the file. It does not replace: what is there may have
    /// been claimed after this file was written.
    /// </summary>
    public static void Publish(string from, string to)
    {
        var folder = Path.GetDirectoryName(to)!;
        var length = new FileInfo(from).Length;
        while (true)
        {
            if (new FileInfo(to) is { Exists: true } there && there.Length != length)
            {
                // Damaged, by a disk or by hand; nothing it was claimed for is whole.
                Durable.Rename(from, to);
                return;
            }
            Durable.CreateFolder(folder);
            if (Durable.Touch(from) is null)
                throw new FileNotFoundException("The file to publish is gone.", from);
            if (Touch(to) || Durable.Link(from, to))
                break;
            // Taken, or its folder swept, in between: once more.
        }
        Durable.FlushFolder(folder);
        File.Delete(from);
    }

    /// <summary>Gives a file that was set aside its name again; false where there is none of either name.</summary>
    public static bool PutBack(string path) => Durable.Link(path + Suffix, path) || File.Exists(path);

    /// <summary>Removes a file that was last claimed before <paramref name="before"/>, and the folder it leaves empty.</summary>
    /// <returns>How many bytes it had; null where it stays, or was not there.</returns>
    public static long? Sweep(string path, DateTime before)
    {
        var aside = new FileInfo(path + Suffix);
        // 1. What a sweep that died left aside.
        if (aside.Exists)
        {
            PutBack(path);
            aside.Delete();
        }
        // 2. Old by the look of it?
        if (!(new FileInfo(path) is { Exists: true } file && file.LastWriteTimeUtc < before))
            return null;
        // 3. Aside, where it can no longer be claimed unseen.
        try
        {
            File.Move(path, aside.FullName, overwrite: true);
        }
        catch (Exception gone) when (gone is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        // 4. Still old? Whoever puts it back from here on keeps it: this removes one name of two.
        aside.Refresh();
        if (!aside.Exists)
            return null;
        var length = aside.Length;
        if (aside.LastWriteTimeUtc >= before)
            PutBack(path);
        aside.Delete();
        if (File.Exists(path))
            return null;
        RemoveIfEmpty(Path.GetDirectoryName(path)!);
        return length;
    }

    /// <summary>When a file was last claimed; null where there is none.</summary>
    public static DateTime? LastTouched(string path) => Exists(path) && new FileInfo(path) is { Exists: true } file ? file.LastWriteTimeUtc : null;

    private static void RemoveIfEmpty(string folder)
    {
        try
        {
            Directory.Delete(folder);
        }
        catch (IOException)
        {
            // Not empty, or written to again just now: the folder stays.
        }
    }
}
