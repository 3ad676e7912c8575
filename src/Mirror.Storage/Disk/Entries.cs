namespace Mirror.Storage.Disk;

/// <summary>
/// Lists a folder. A folder that does not exist, or that is removed meanwhile, counts as empty. So does a folder that this process may not
/// read, which is reported. If a folder cannot be read for another reason, such as a broken disk, this throws.
/// </summary>
internal static class Entries
{
    public static IEnumerable<string> Folders(string folder, UnreadableFolders? unreadable = null) =>
        Read(folder, Directory.EnumerateDirectories, unreadable);

    public static IEnumerable<string> Files(string folder, UnreadableFolders? unreadable = null) =>
        Read(folder, Directory.EnumerateFiles, unreadable);

    private static IEnumerable<string> Read(string folder, Func<string, IEnumerable<string>> enumerate, UnreadableFolders? unreadable)
    {
        if (!Directory.Exists(folder))
            yield break;
        using var entries = Try(() => enumerate(folder).GetEnumerator());
        while (entries is not null && Try(entries.MoveNext))
            yield return entries.Current;

        T? Try<T>(Func<T> read)
        {
            try
            {
                return read();
            }
            catch (UnauthorizedAccessException)
            {
                unreadable?.Add(folder);
                return default;
            }
            catch (DirectoryNotFoundException)
            {
                return default;
            }
        }
    }

    /// <summary>
    /// For a file that seems to be missing: reports its folder if this process may not read the folder, because then the file may exist.
    /// </summary>
    public static void ReportIfClosed(string file, UnreadableFolders? unreadable)
    {
        try
        {
            // Most of these files are missing. Unlike File.GetAttributes, this does not throw for them.
            _ = new FileInfo(file).Attributes;
        }
        catch (UnauthorizedAccessException)
        {
            unreadable?.Add(Path.GetDirectoryName(file)!);
        }
    }
}
