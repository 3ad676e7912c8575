namespace Mirror.Storage.Disk;

/// <summary>
/// What is in a folder. A folder that does not exist, that is removed meanwhile, or that this process may not read is empty: volumes have
/// folders of other programs (<c>lost+found</c>, <c>@eaDir</c>, <c>.snapshot</c>). A folder that cannot be read for another reason, such as
/// a broken disk, is an error.
/// </summary>
internal static class Entries
{
    /// <summary>Called with the path of each folder that may not be read.</summary>
    public static event Action<string>? Unreadable;

    public static IEnumerable<string> Folders(string folder) => Read(folder, Directory.EnumerateDirectories);

    public static IEnumerable<string> Files(string folder) => Read(folder, Directory.EnumerateFiles);

    private static IEnumerable<string> Read(string folder, Func<string, IEnumerable<string>> enumerate)
    {
        if (!Directory.Exists(folder))
            yield break;
        using var entries = Open(folder, enumerate);
        while (entries is not null && Next(folder, entries))
            yield return entries.Current;
    }

    private static IEnumerator<string>? Open(string folder, Func<string, IEnumerable<string>> enumerate)
    {
        try
        {
            return enumerate(folder).GetEnumerator();
        }
        catch (UnauthorizedAccessException)
        {
            Unreadable?.Invoke(folder);
            return null;
        }
        catch (DirectoryNotFoundException)
        {
            return null;
        }
    }

    private static bool Next(string folder, IEnumerator<string> entries)
    {
        try
        {
            return entries.MoveNext();
        }
        catch (UnauthorizedAccessException)
        {
            Unreadable?.Invoke(folder);
            return false;
        }
        catch (DirectoryNotFoundException)
        {
            return false;
        }
    }
}
