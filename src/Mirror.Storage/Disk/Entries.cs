namespace Mirror.Storage.Disk;

/// <summary>
/// Looks into folders. Only what the file system says is missing counts as missing. Unlike <see cref="Directory.Exists"/> and
/// <see cref="System.IO.File.Exists"/>, which are false after every error, this throws where the file system cannot tell, such as for a
/// broken disk: an answer "there is none" would let a garbage collection delete what the file or the folder names.
/// </summary>
public static class Entries
{
    /// <summary>
    /// The folders in a folder. A missing folder, or one that is removed meanwhile, is empty. So is a folder that this process may not
    /// read, if it can be reported; else this throws.
    /// </summary>
    public static IEnumerable<string> Folders(string folder, UnreadableFolders? unreadable = null) =>
        Read(folder, Directory.EnumerateDirectories, unreadable);

    /// <summary>The files in a folder, as <see cref="Folders"/>.</summary>
    public static IEnumerable<string> Files(string folder, UnreadableFolders? unreadable = null) =>
        Read(folder, Directory.EnumerateFiles, unreadable);

    /// <summary>A file; null where there is none.</summary>
    /// <exception cref="UnauthorizedAccessException">This process may not read its folder.</exception>
    /// <exception cref="IOException">The file system cannot tell.</exception>
    public static FileInfo? File(string path) => Look(path) is { Attributes: var found } file && !IsFolder(found) ? file : null;

    /// <inheritdoc cref="File"/>
    public static bool HasFile(string path) => File(path) is not null;

    /// <summary>Whether there is a folder.</summary>
    /// <inheritdoc cref="File" path="/exception"/>
    public static bool HasFolder(string path) => Look(path) is { Attributes: var found } && (IsFolder(found) || LeadsToFolder(path, found));

    /// <summary>Returns what <paramref name="read"/> found. The default, and a report, if this process may not read the folder.</summary>
    /// <param name="path">What is looked at.</param>
    public static T? OrSkip<T>(string path, UnreadableFolders? unreadable, Func<T?> read)
    {
        try
        {
            return read();
        }
        catch (UnauthorizedAccessException) when (unreadable is not null)
        {
            unreadable.Add(Closed(path));
            return default;
        }
    }

    /// <summary>Returns what <paramref name="read"/> found.</summary>
    /// <param name="path">What is looked at.</param>
    /// <exception cref="UnreadableException">This process may not read it, which is also reported.</exception>
    internal static T OrRefuse<T>(string path, UnreadableFolders? unreadable, Func<string, T> read)
    {
        try
        {
            return read(path);
        }
        catch (UnauthorizedAccessException refused)
        {
            throw Refused(path, unreadable, refused);
        }
    }

    /// <summary>The exception for a file or a folder that this process may not read, which is also reported.</summary>
    internal static UnreadableException Refused(string path, UnreadableFolders? unreadable, UnauthorizedAccessException cause)
    {
        var closed = Closed(path);
        unreadable?.Add(closed);
        return new UnreadableException(closed, cause);
    }

    /// <summary>Whether this process may see the path, though perhaps not read it: its folder is open.</summary>
    internal static bool IsVisible(string path) => Closed(path) == path;

    private static IEnumerable<string> Read(string folder, Func<string, IEnumerable<string>> enumerate, UnreadableFolders? unreadable)
    {
        // Most of the folders that are asked for are missing. This look is cheaper than the exception of an enumeration.
        if (!Try(() => HasFolder(folder)))
            yield break;
        using var entries = Try(() => enumerate(folder).GetEnumerator());
        while (entries is not null && Try(entries.MoveNext))
            yield return entries.Current;

        T? Try<T>(Func<T> read)
        {
            try
            {
                return OrSkip(folder, unreadable, read);
            }
            catch (DirectoryNotFoundException)
            {
                return default;
            }
        }
    }

    // Null where there is nothing. Unlike File.GetAttributes, this does not throw for what is missing.
    private static FileInfo? Look(string path) => new FileInfo(path) is { Attributes: not (FileAttributes)(-1) } found ? found : null;

    private static bool IsFolder(FileAttributes attributes) => (attributes & FileAttributes.Directory) != 0;

    // The framework takes a symbolic link for a file if it cannot tell where the link leads. Opening it tells why.
    private static bool LeadsToFolder(string path, FileAttributes attributes)
    {
        if ((attributes & FileAttributes.ReparsePoint) == 0 || OperatingSystem.IsWindows())
            return false;
        using var opened = DiskFlush.Open($"{path}/");
        return opened is not null;
    }

    // What has no rights: the path itself, or the nearest folder above it that can be seen.
    private static string Closed(string path)
    {
        for (; Path.GetDirectoryName(path) is { } parent; path = parent)
            try
            {
                _ = Look(path);
                return path;
            }
            catch (UnauthorizedAccessException)
            {
                // A folder above it has no rights.
            }
        return path;
    }
}
