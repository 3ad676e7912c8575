namespace Mirror.Storage.Disk;

/// <summary>
/// What is in a folder. A folder that does not exist, or that is removed meanwhile, is empty. So is one that this process has no right to
/// read, and it is reported. A folder that cannot be read for another reason, such as a broken disk, is an error.
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
    /// Reports the folder of a file that seems to be missing if this process may not look into it: then the file may be there.
    /// </summary>
    public static void ReportIfClosed(string file, UnreadableFolders? unreadable)
    {
        try
        {
            // Unlike File.GetAttributes, this does not throw where the file is missing, as most are.
            _ = new FileInfo(file).Attributes;
        }
        catch (UnauthorizedAccessException)
        {
            unreadable?.Add(Path.GetDirectoryName(file)!);
        }
    }
}
