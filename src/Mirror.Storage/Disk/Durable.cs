using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mirror.Storage.Disk;

/// <summary>
/// File operations that survive a power cut. On Linux a rename or a new folder is safe only after a flush of the folder that holds its name
/// (fsync(2)). Where a flush fails, the operation is undone as far as that is possible, so that the next attempt does all of it again.
/// </summary>
public static partial class Durable
{
    /// <summary>Writes a small file: writes and flushes a temporary file, then gives it its final name.</summary>
    /// <param name="publish">How to do that; null renames it over a file of that name.</param>
    /// <exception cref="IOException">The disk refused.</exception>
    internal static void WriteFile(string temporaryFolder, string path, ReadOnlySpan<byte> bytes, Action<string, string>? publish = null)
    {
        CreateFolder(temporaryFolder);
        var temporary = Path.Combine(temporaryFolder, Path.GetRandomFileName());
        try
        {
            // Do not preallocate: on a full disk that fails with an error that hides the cause.
            using (var file = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                RandomAccess.Write(file, bytes, 0);
                DiskFlush.OfFile(file);
                DiskFlush.Close(file);
            }
            (publish ?? Rename)(temporary, path);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Renames a flushed file over its final name, and creates missing folders.</summary>
    internal static void Rename(string from, string to)
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
                // A concurrent delete removed the folder; another write may have created it again since. Retry.
            }
        }
        DiskFlush.OfFolder(folder);
    }

    /// <summary>
    /// Creates a folder and its missing parents, and flushes each folder that got a new name. If that fails, the new folder goes again.
    /// </summary>
    public static void CreateFolder(string folder)
    {
        const int exists = 17;
        // Concurrent writes and deletes end at some time. A symbolic link without a target stays.
        const int maxTries = 1000;
        UnflushedNames.Wait(folder);
        for (var tries = 1; !Directory.Exists(folder); tries++)
        {
            var parent = Path.GetDirectoryName(folder)!;
            CreateFolder(parent);
            using var turn = UnflushedNames.Enter(folder);
            if (Directory.Exists(folder))
                return;
            try
            {
                Directory.CreateDirectory(folder);
            }
            catch (IOException moved)
                when ((moved is DirectoryNotFoundException or FileNotFoundException || moved.HResult == exists)
                    && !File.Exists(folder) && tries < maxTries)
            {
                // A concurrent delete removed a parent folder. Retry.
                continue;
            }
            try
            {
                DiskFlush.OfFolder(parent);
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                SweepableFile.RemoveIfEmpty(folder);
                throw;
            }
            return;
        }
    }

    /// <summary>
    /// Removes a folder and its content in one step, also while others write to it: renames it to a name that no other process knows, and
    /// deletes it there. False where there is no such folder.
    /// </summary>
    /// <exception cref="IOException">The disk refused; the folder has its name again.</exception>
    internal static bool DeleteFolder(string temporaryFolder, string path)
    {
        if (Detach(temporaryFolder, path, Folders.Move) is not { } renamed)
            return false;
        DeleteLeftOver(renamed);
        return true;
    }

    /// <summary>As <see cref="DeleteFolder"/>, for a file.</summary>
    /// <inheritdoc cref="DeleteFolder" path="/exception"/>
    internal static bool DeleteFile(string temporaryFolder, string path)
    {
        if (Detach(temporaryFolder, path, File.Move) is not { } renamed)
            return false;
        File.Delete(renamed);
        return true;
    }

    /// <summary>Moves something to a new name in the temporary folder, and returns that; null where there is nothing.</summary>
    private static string? Detach(string temporaryFolder, string path, Action<string, string> move)
    {
        CreateFolder(temporaryFolder);
        var renamed = Path.Combine(temporaryFolder, Path.GetRandomFileName());
        try
        {
            move(path, renamed);
        }
        catch (Exception missing) when (missing is DirectoryNotFoundException or FileNotFoundException)
        {
            return null;
        }
        try
        {
            DiskFlush.OfFolder(Path.GetDirectoryName(path)!);
        }
        catch (Exception failure) when (failure.IsStoreFailure && !Path.Exists(path))
        {
            // Whether it is gone is not known. The caller will try again, and must find it for that.
            move(renamed, path);
            throw;
        }
        return renamed;
    }

    /// <summary>
    /// Deletes a folder that was renamed out of the way. A write that had opened it before the rename can still add a name while it is
    /// deleted. What remains after several tries stays in the temporary folder, where garbage collection deletes what is a day old.
    /// </summary>
    private static void DeleteLeftOver(string folder)
    {
        const int maxTries = 10;
        for (var tries = 1; ; tries++)
        {
            try
            {
                Directory.Delete(folder, recursive: true);
                return;
            }
            catch (DirectoryNotFoundException)
            {
                return;
            }
            catch (Exception inUse) when (inUse is IOException or UnauthorizedAccessException)
            {
                if (tries == maxTries)
                    return;
            }
        }
    }

    /// <summary>
    /// Sets a file's modification time to now, by the clock of the file system, and returns it; null where there is no such file.
    /// </summary>
    /// <exception cref="UnauthorizedAccessException">The process may not write the file.</exception>
    internal static DateTime? Touch(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            if (!File.Exists(path))
                return null;
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            return File.GetLastWriteTimeUtc(path);
        }
        const int readOnlyFileSystem = 30;
        // Not by File.OpenHandle: that asks for a lock, and fails while a writer holds it.
        using var file = DiskFlush.Open(path);
        if (file is null)
            return null;
        // On a read-only file system no sweep can remove the file, so its time does not matter.
        if (SetTimes(file, 0) != 0 && Marshal.GetLastPInvokeError() != readOnlyFileSystem)
            throw CannotTouch(path);
        return File.GetLastWriteTimeUtc(file);
    }

    /// <summary>Lets other processes open a file that was opened with <see cref="FileShare.None"/>.</summary>
    internal static void Unlock(SafeFileHandle file)
    {
        const int unlock = 8;
        if (!OperatingSystem.IsWindows())
            _ = Lock(file, unlock);
    }

    /// <summary>Locks a file again after <see cref="Unlock"/>.</summary>
    /// <exception cref="IOException">Another process has it open (<see cref="StoreFailures"/>: <c>IsHeldByAnother</c>).</exception>
    internal static void LockAgain(SafeFileHandle file)
    {
        const int exclusive = 2, atOnce = 4;
        if (!OperatingSystem.IsWindows() && Lock(file, exclusive | atOnce) != 0)
            throw new IOException("Another process has the file open.", StoreFailures.WouldBlock);
    }

    /// <summary>
    /// Reserves disk space after the end of a file, so that the file grows cheaply and in one piece. Its length stays. False where the file
    /// system cannot do this or is full; a later write then reports the error.
    /// </summary>
    /// <param name="from">Where the space begins, in bytes from the start.</param>
    internal static bool Reserve(SafeFileHandle file, long from, long length)
    {
        const int keepSize = 1;
        return OperatingSystem.IsLinux() && Allocate(file, keepSize, from, length) == 0;
    }

    /// <summary>Gives a file a second name; false where there is no such file or the name exists.</summary>
    internal static bool Link(string path, string also)
    {
        const int noSuchFile = 2, exists = 17, notAFolder = 20;
        if (!OperatingSystem.IsWindows())
        {
            if (HardLink(path, also) == 0)
                return true;
            if (Marshal.GetLastPInvokeError() is noSuchFile or exists or notAFolder)
                return false;
        }
        // A file system without hard links.
        if (!Entries.HasFile(path) || Entries.HasFile(also))
            return false;
        File.Move(path, also, overwrite: true);
        return true;
    }

    private static UnauthorizedAccessException CannotTouch(string path) =>
        new($"Cannot set the time of '{path}': {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");

    // A null pointer means now.
    [LibraryImport("libc", EntryPoint = "futimens", SetLastError = true)]
    private static partial int SetTimes(SafeFileHandle file, nint times);

    [LibraryImport("libc", EntryPoint = "flock")]
    private static partial int Lock(SafeFileHandle file, int operation);

    [LibraryImport("libc", EntryPoint = "fallocate")]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int HardLink(string path, string also);
}
