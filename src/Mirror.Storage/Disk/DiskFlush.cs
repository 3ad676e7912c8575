using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mirror.Storage.Disk;

/// <summary>
/// Flushes to the disk that report every failure. The framework's own calls were seen to report none, and a failing disk, a full quota or a
/// lost NFS server may be noticed nowhere else.
/// </summary>
/// <remarks>
/// After a failed flush the system forgets the bytes that it could not write, and the next flush of the same file succeeds. So a caller
/// drops a file whose flush failed, and never flushes it again.
/// </remarks>
public static partial class DiskFlush
{
    private const int NoSuchFile = 2, Interrupted = 4, NotADirectory = 20;
    private static readonly int ReadOnlyCloseOnExec = OperatingSystem.IsLinux() ? 0x80000 : 0x1000000;

    /// <summary>Flushes a file's bytes and its length.</summary>
    /// <exception cref="IOException">
    /// The disk refused; <see cref="Exception.HResult"/> is the errno of fsync(2). What was written may be lost.
    /// </exception>
    public static void OfFile(SafeFileHandle file)
    {
        if (OperatingSystem.IsWindows())
            RandomAccess.FlushToDisk(file);
        else
            Check(() => Flush(file), "file");
    }

    /// <summary>Flushes the names in a folder. A folder that does not exist any longer needs no flush.</summary>
    /// <exception cref="IOException">
    /// As <see cref="OfFile"/>: names that were added or removed may come and go with a power cut.
    /// </exception>
    public static void OfFolder(string folder)
    {
        if (OperatingSystem.IsWindows() || Open(folder) is not { } file)
            return;
        try
        {
            Check(() => Flush(file), $"folder '{folder}'");
        }
        finally
        {
            file.Dispose();
        }
    }

    /// <summary>Closes a file. NFS and quotas may report only here that they did not take what was written.</summary>
    /// <exception cref="IOException">They did not; <see cref="Exception.HResult"/> is the errno of close(2).</exception>
    internal static void Close(SafeFileHandle file)
    {
        if (OperatingSystem.IsWindows())
        {
            file.Dispose();
            return;
        }
        // Closing ends the lock only if no child process has a copy of the descriptor. Between fork and exec each new child has one.
        Durable.Unlock(file);
        var descriptor = (int)file.DangerousGetHandle();
        file.SetHandleAsInvalid();
        // Linux has closed it when a signal interrupts the call.
        if (Close(descriptor) != 0 && Marshal.GetLastPInvokeError() is not Interrupted and var error)
            throw Failed("close file", error);
    }

    /// <summary>Opens a file or a folder for reading, without a lock; null where there is none.</summary>
    /// <exception cref="IOException">It cannot be opened; <see cref="Exception.HResult"/> is the errno of open(2).</exception>
    /// <exception cref="UnauthorizedAccessException">The process has no right to.</exception>
    internal static SafeFileHandle? Open(string path)
    {
        int descriptor;
        while ((descriptor = Open(path, ReadOnlyCloseOnExec)) < 0)
            switch (Marshal.GetLastPInvokeError())
            {
                case Interrupted:
                    continue;
                case NoSuchFile or NotADirectory:
                    return null;
                case var error:
                    throw Failed($"open '{path}'", error);
            }
        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    private static void Check(Func<int> flush, string what)
    {
        const int readOnly = 30, invalid = 22;
        var notSupported = OperatingSystem.IsLinux() ? 95 : 45;
        while (flush() != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            if (error == Interrupted)
                continue;
            // A file that cannot be flushed, or that was not written, has no bytes to lose. The framework also ignores these errors.
            if (error is readOnly or invalid || error == notSupported)
                return;
            throw Failed($"flush {what} to the disk", error);
        }
    }

    private static Exception Failed(string what, int error)
    {
        const int notPermitted = 1, accessDenied = 13;
        var message = $"Cannot {what}: {Marshal.GetPInvokeErrorMessage(error)}.";
        return error is notPermitted or accessDenied ? new UnauthorizedAccessException(message) : new IOException(message, error);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Flush(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
