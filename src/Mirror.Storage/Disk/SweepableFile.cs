namespace Mirror.Storage.Disk;

/// <summary>
/// Files that a sweep in one process may delete while other processes touch them, without a lock. To touch a file is to set its time to
/// now. The sweep first renames a file, and looks at its time only then. A touch before the rename is therefore seen. A touch after the
/// rename finds no file and gives the renamed file its name back. <c>Sweeper</c> explains why that is enough.
/// </summary>
/// <remarks>
/// Only the sweep deletes the renamed file. There is one sweep of each kind at a time, and each kind has a name of its own for what it
/// renames, so no sweep deletes what another one has renamed. All others can only link it back, which never replaces a file. So a process
/// that stops at any point, for an hour or for ever, does no harm.
/// </remarks>
internal static class SweepableFile
{
    /// <summary>What a garbage collection adds to the name.</summary>
    public const string Swept = ".swept";

    /// <summary>What an eviction adds to the name.</summary>
    public const string Evicted = ".evicted";

    // How far the clocks of machines that share a folder may differ.
    private static readonly TimeSpan MaxClockSkew = TimeSpan.FromHours(1);

    public static bool Exists(string path) => Entries.HasFile(path) || PutBack(path);

    /// <summary>Sets a file's time to now; false where there is no file.</summary>
    public static bool Touch(string path)
    {
        UnflushedNames.Wait(path);
        return TouchNow(path);
    }

    private static bool TouchNow(string path)
    {
        do
        {
            // The file may have lost its name between open and touch: the file that has the name now must have that time, or a later one.
            if (Durable.Touch(path) is { } touched && Entries.File(path) is { } named && named.LastWriteTimeUtc >= touched)
                return true;
        }
        while (PutBack(path));
        return false;
    }

    /// <summary>
    /// Gives a flushed file, whose bytes were verified, its final name. Where a file with the same bytes has that name already, touches
    /// that one and drops the new one. It does not replace the old one, because that may have been touched after the new one was written.
    /// Where the old file has other bytes, it is damaged, and the new one replaces it.
    /// </summary>
    /// <exception cref="IOException">The disk refused; the file has no final name, unless it had it before.</exception>
    public static void Publish(string from, string to)
    {
        // Before the turn: to compare two large files takes long, and each touch of the name waits for the turn.
        var compared = FolderPlace.Of(to);
        var isDamaged = Exists(to) && !FileBytes.AreSame(to, from);
        using var turn = UnflushedNames.Enter(to);
        // Another call may have replaced the damaged file meanwhile.
        isDamaged &= FolderPlace.Of(to) == compared;
        var folder = Path.GetDirectoryName(to)!;
        var length = new FileInfo(from).Length;
        DateTime? named = null;
        try
        {
            while (true)
            {
                Durable.CreateFolder(folder);
                if (Durable.Touch(from) is not { } touched)
                    throw new FileNotFoundException("The file to publish does not exist.", from);
                if (isDamaged || Entries.File(to) is { } old && old.Length != length)
                {
                    // Nothing can rely on a damaged file.
                    named = touched;
                    Durable.Rename(from, to);
                    return;
                }
                if (TouchNow(to))
                    break;
                if (Durable.Link(from, to))
                {
                    named = touched;
                    break;
                }
                // Another process published the file, or a sweep removed its folder, between the two calls. Retry.
            }
            DiskFlush.OfFolder(folder);
        }
        catch (Exception failure) when (named is not null && failure.IsStoreFailure)
        {
            // A later attempt would find the name, and rely on it without a power cut in mind. Another process that has touched the file
            // since relies on its own flush: then the name stays. By the file's own time only: a time in the future does not keep the name.
            Remove(to, named.Value.AddTicks(1), Swept);
            throw;
        }
        File.Delete(from);
    }

    /// <summary>Gives a file that a sweep renamed its name back; false where there is a file of neither name.</summary>
    public static bool PutBack(string path) =>
        Durable.Link(path + Swept, path) || Durable.Link(path + Evicted, path) || Entries.HasFile(path);

    /// <summary>Deletes a file that was last touched before <paramref name="before"/>, and its folder if that is empty then.</summary>
    /// <param name="suffix">What this kind of sweep adds to the name.</param>
    /// <returns>The length of the deleted file in bytes; null where it stays or there was none.</returns>
    public static long? Sweep(string path, DateTime before, string suffix = Swept)
    {
        // A time in the future is of a clock that was wrong: the file's age counts from now on.
        if (Entries.File(path) is { } file && file.LastWriteTimeUtc > DateTime.UtcNow + MaxClockSkew)
            Touch(path);
        return Remove(path, before, suffix);
    }

    // As Sweep, by whatever time the file has. Does not wait for the turn of the name, so the holder of the turn may call it.
    private static long? Remove(string path, DateTime before, string suffix)
    {
        var aside = path + suffix;
        // 1. Put back what an earlier sweep renamed before it died.
        if (Entries.HasFile(aside))
        {
            PutBack(path);
            File.Delete(aside);
        }
        // 2. Is the file old?
        if (Entries.File(path) is not { } file || file.LastWriteTimeUtc >= before)
            return null;
        // 3. Rename it: from here on a touch either was before the rename or puts the file back.
        try
        {
            File.Move(path, aside, overwrite: true);
        }
        catch (Exception gone) when (gone is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        // 4. Is it still old? A process that links it back after this check keeps it: this deletes one name of two.
        if (Entries.File(aside) is not { } renamed)
            return null;
        if (renamed.LastWriteTimeUtc >= before)
            PutBack(path);
        File.Delete(aside);
        if (Entries.HasFile(path))
            return null;
        RemoveIfEmpty(Path.GetDirectoryName(path)!);
        return renamed.Length;
    }

    /// <summary>When a file was last touched; null where there is no file.</summary>
    public static DateTime? LastTouched(string path) =>
        Exists(path) && Entries.File(path) is { } file ? file.LastWriteTimeUtc : null;

    /// <summary>Deletes a folder unless it has content: another process may just have written to it.</summary>
    public static void RemoveIfEmpty(string folder)
    {
        try
        {
            Directory.Delete(folder);
        }
        catch (IOException)
        {
            // Not empty: the folder stays.
        }
    }
}
