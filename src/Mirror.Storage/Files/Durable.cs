using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mirror.Storage.Files;

/// <summary>
/// The file operations that still hold after a power cut. On Linux a rename or a new folder lasts only once the folder that holds its
/// name was flushed too (fsync(2)), which the framework has no call for.
/// </summary>
internal static partial class Durable
{
    /// <summary>Writes a whole small file: a temporary one, flushed, then renamed over the final name.</summary>
    public static void WriteFile(string temporaryFolder, string path, ReadOnlySpan<byte> bytes)
    {
        Directory.CreateDirectory(temporaryFolder);
        var temporary = Path.Combine(temporaryFolder, Path.GetRandomFileName());
        try
        {
            using (var file = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, preallocationSize: bytes.Length))
            {
                RandomAccess.Write(file, bytes, 0);
                RandomAccess.FlushToDisk(file);
            }
            Rename(temporary, path);
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
            CreateFolder(folder);
            try
            {
                File.Move(from, to, overwrite: true);
                break;
            }
            catch (DirectoryNotFoundException) when (File.Exists(from))
            {
                // A delete took the empty folder in between: make it again.
            }
        }
        FlushFolder(folder);
    }

    /// <summary>Makes a folder and what is missing above it, flushing each folder that got a new name in it.</summary>
    public static void CreateFolder(string folder)
    {
        if (Directory.Exists(folder))
            return;
        var parent = Path.GetDirectoryName(folder)!;
        CreateFolder(parent);
        Directory.CreateDirectory(folder);
        FlushFolder(parent);
    }

    /// <summary>Lets others open a file that this process had for itself alone (<see cref="FileShare.None"/>, flock(2)) while it stays open here.</summary>
    public static void Share(SafeFileHandle file)
    {
        const int shared = 1;
        if (!OperatingSystem.IsWindows() && SetLock(file, shared) != 0)
            throw new IOException($"Cannot share a file: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");
    }

    /// <summary>Flushes the names in a folder. A folder that is gone by now has nothing to flush.</summary>
    public static void FlushFolder(string folder)
    {
        if (!OperatingSystem.IsLinux())
            return;
        const int readOnlyDirectoryCloseOnExec = 0x10000 | 0x80000;
        var descriptor = Open(folder, readOnlyDirectoryCloseOnExec);
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

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int SetLock(SafeFileHandle file, int operation);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Flush(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
