using System.Runtime.InteropServices;

namespace Mirror.Storage.Disk;

/// <summary>
/// Moves and deletes folders, and tells what this process has rights to. Where it has no right to move or delete, it throws
/// <see cref="UnauthorizedAccessException"/>, as operations on files do. The framework's own methods throw an <see cref="IOException"/>
/// there, because Windows does.
/// </summary>
internal static partial class Folders
{
    private const int NotPermitted = 1;
    private const int AccessDenied = 13;
    private const int ReadOnlyFileSystem = 30;
    private const int WithoutErrorNumber = unchecked((int)0x80131620);

    public static void Move(string from, string to)
    {
        try
        {
            Directory.Move(from, to);
        }
        catch (IOException refused) when (refused.HResult is AccessDenied)
        {
            throw new UnauthorizedAccessException(refused.Message, refused);
        }
    }

    /// <summary>Deletes a folder and its content.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    public static void Delete(string folder)
    {
        // One by one: the framework hides why it cannot delete an entry.
        foreach (var entry in new DirectoryInfo(folder).EnumerateFileSystemInfos())
            if (entry is DirectoryInfo { LinkTarget: null })
                Delete(entry.FullName);
            else
                entry.Delete();
        try
        {
            Directory.Delete(folder);
        }
        // A read-only file system has no error number there either.
        catch (IOException refused) when (
            refused.HResult is WithoutErrorNumber && WhyNotWritable(Path.GetDirectoryName(folder)!) is not ReadOnlyFileSystem)
        {
            throw new UnauthorizedAccessException(refused.Message, refused);
        }
    }

    /// <summary>Whether this process has no right to write to a folder. Leaves no traces.</summary>
    public static bool IsForbidden(string folder) => WhyNotWritable(folder) is NotPermitted or AccessDenied;

    /// <summary>Whether this process has no right to read a file. Costs less than opening it.</summary>
    public static bool IsUnreadable(string file)
    {
        const int read = 4;
        return !OperatingSystem.IsWindows() && Access(file, read) != 0 && Marshal.GetLastPInvokeError() is AccessDenied;
    }

    // An error number, or 0.
    private static int WhyNotWritable(string folder)
    {
        const int enterAndWrite = 1 | 2;
        return OperatingSystem.IsWindows() || Access(folder, enterAndWrite) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    [LibraryImport("libc", EntryPoint = "access", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Access(string path, int mode);
}
