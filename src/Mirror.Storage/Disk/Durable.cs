using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mirror.Storage.Disk;

/// <summary>
/// The file operations that still hold after a power cut. On Linux a rename or a new folder lasts only once the folder that holds its
/// name was flushed too (fsync(2)), which the framework has no call for.
/// </summary>
internal static partial class Durable
{
    private static readonly int ReadOnlyCloseOnExec = OperatingSystem.IsLinux() ? 0x80000 : 0x1000000;

    /// <summary>Writes a whole small file: a temporary one, flushed, then renamed over the final name.</summary>
    public static void WriteFile(string temporaryFolder, string path, ReadOnlySpan<byte> bytes) => WriteFile(temporaryFolder, path, bytes, Rename);

    /// <summary>Writes a whole small file: a temporary one, flushed, then given its final name by <paramref name="publish"/>.</summary>
    public static void WriteFile(string temporaryFolder, string path, ReadOnlySpan<byte> bytes, Action<string, string> publish)
    {
        Directory.CreateDirectory(temporaryFolder);
        var temporary = Path.Combine(temporaryFolder, Path.GetRandomFileName());
        try
        {
            // Without its length: a disk that is full then fails without saying that it is.
            using (var file = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                RandomAccess.Write(file, bytes, 0);
                RandomAccess.FlushToDisk(file);
            }
            publish(temporary, path);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Renames a flushed file over its final name, making the folders on the way.</summary>
    public static void Rename(string from, string to)
    {
        var folder = Path.GetDirectoryName(to)!;
        while (true)
        {
            try
            {
                CreateFolder(folder);
                File.Move(from, to, overwrite: true);
                break;
            }
            catch (Exception gone) when (gone is DirectoryNotFoundException or FileNotFoundException && File.Exists(from))
            {
                // A delete took the folder in between, or another write had it back before this one's error was understood: once more.
            }
        }
        FlushFolder(folder);
    }

    /// <summary>Makes a folder and what is missing above it, flushing each folder that got a new name in it.</summary>
    public static void CreateFolder(string folder)
    {
        const int exists = 17;
        // Writes and deletes of others do not go on for ever; a link that leads nowhere does.
        const int most = 1000;
        for (var tries = 1; !Directory.Exists(folder); tries++)
        {
            var parent = Path.GetDirectoryName(folder)!;
            CreateFolder(parent);
            try
            {
                Directory.CreateDirectory(folder);
            }
            catch (IOException moved) when ((moved is DirectoryNotFoundException || moved.HResult == exists) && !File.Exists(folder) && tries < most)
            {
                // A delete took what is above it, or took what another write had made before this one had looked what was in its way: once more.
                continue;
            }
            FlushFolder(parent);
            return;
        }
    }

    /// <summary>
    /// Takes a folder out of a folder at once, whatever is in it and whoever writes to it: it is renamed first, and emptied under a name that
    /// nobody knows. False where it was not there.
    /// </summary>
    public static bool DeleteFolder(string temporaryFolder, string path)
    {
        Directory.CreateDirectory(temporaryFolder);
        var doomed = Path.Combine(temporaryFolder, Path.GetRandomFileName());
        try
        {
            Directory.Move(path, doomed);
        }
        catch (Exception missing) when (missing is DirectoryNotFoundException or FileNotFoundException)
        {
            return false;
        }
        FlushFolder(Path.GetDirectoryName(path)!);
        Directory.Delete(doomed, recursive: true);
        return true;
    }

    /// <summary>Flushes the names in a folder. A folder that is gone by now has nothing to flush.</summary>
    public static void FlushFolder(string folder)
    {
        if (!OperatingSystem.IsLinux())
            return;
        var descriptor = Open(folder, ReadOnlyCloseOnExec);
        if (descriptor < 0)
        {
            const int noSuchFile = 2;
            var error = Marshal.GetLastPInvokeError();
            if (error == noSuchFile)
                return;
            throw new IOException($"Cannot open the folder '{folder}' to flush it: {Marshal.GetPInvokeErrorMessage(error)}.");
        }
        try
        {
            if (Flush(descriptor) != 0)
                throw new IOException($"Cannot flush the folder '{folder}': {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    /// <summary>Sets a file's time to now, by the clock of the file system, and returns it; null where there is no such file.</summary>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    public static DateTime? Touch(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            if (!File.Exists(path))
                return null;
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            return File.GetLastWriteTimeUtc(path);
        }
        const int noSuchFile = 2, notAFolder = 20, readOnlyFileSystem = 30;
        // Not by File.OpenHandle, which would ask for a lock and get none while a writer has the file.
        var descriptor = Open(path, ReadOnlyCloseOnExec);
        if (descriptor < 0)
            return Marshal.GetLastPInvokeError() is noSuchFile or notAFolder ? null : throw Untouchable(path);
        using var file = new SafeFileHandle(descriptor, ownsHandle: true);
        // Where nothing can be written, nothing can be swept either.
        if (SetTimes(descriptor, 0) != 0 && Marshal.GetLastPInvokeError() != readOnlyFileSystem)
            throw Untouchable(path);
        return File.GetLastWriteTimeUtc(file);
    }

    /// <summary>Lets others open a file that was opened with <see cref="FileShare.None"/>.</summary>
    public static void Unlock(SafeFileHandle file)
    {
        const int unlock = 8;
        if (!OperatingSystem.IsWindows())
            _ = Lock(file, unlock);
    }

    /// <summary>
    /// Sets room aside behind the end of a file, so that writing there costs the file system less and goes to one place on the disk. The file
    /// is as long as before. False where that cannot be done, or there is no such room: writing will tell.
    /// </summary>
    /// <param name="from">In bytes, as <paramref name="length"/>.</param>
    public static bool Reserve(SafeFileHandle file, long from, long length)
    {
        const int keepSize = 1;
        return OperatingSystem.IsLinux() && Allocate(file, keepSize, from, length) == 0;
    }

    /// <summary>Gives a file a second name; false where there is no such file, or the name is taken.</summary>
    public static bool Link(string path, string also)
    {
        const int noSuchFile = 2, exists = 17, notAFolder = 20;
        if (!OperatingSystem.IsWindows())
        {
            if (HardLink(path, also) == 0)
                return true;
            if (Marshal.GetLastPInvokeError() is noSuchFile or exists or notAFolder)
                return false;
        }
        // A file system without links.
        if (!File.Exists(path) || File.Exists(also))
            return false;
        File.Move(path, also, overwrite: true);
        return true;
    }

    private static UnauthorizedAccessException Untouchable(string path) =>
        new($"Cannot set the time of '{path}': {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");

    // A null pointer means now.
    [LibraryImport("libc", EntryPoint = "futimens", SetLastError = true)]
    private static partial int SetTimes(int descriptor, nint times);

    [LibraryImport("libc", EntryPoint = "flock")]
    private static partial int Lock(SafeFileHandle file, int operation);

    [LibraryImport("libc", EntryPoint = "fallocate")]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int HardLink(string path, string also);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Flush(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
