using System.Runtime.InteropServices;

namespace Mirror.Storage.Disk;

/// <summary>What the volume of a folder has left (statvfs(3)).</summary>
/// <param name="Bytes">How many bytes this user may still write; <see cref="MaxBytes"/> at most.</param>
/// <param name="Size">How many bytes this user could write if the volume were empty; <see cref="MaxBytes"/> at most.</param>
/// <param name="Files">How many files and folders it takes; <see cref="long.MaxValue"/> where the file system has no such limit.</param>
/// <param name="AllFiles">How many files and folders it takes if it is empty.</param>
public readonly partial record struct VolumeRoom(long Bytes, long Size, long Files, long AllFiles, bool IsReadOnly)
{
    /// <summary>
    /// What a volume with more room counts as: 64 PiB. Network file systems report 8 EiB, and a multiple of that is no 64-bit number.
    /// </summary>
    public const long MaxBytes = 1L << 56;

    /// <summary>Whether it takes so few more files and folders that a few new images would take all of them.</summary>
    public bool IsShortOfFiles => Files < 16 + AllFiles / 1000;

    /// <summary>Whether so many bytes could be free if the volume were empty.</summary>
    public bool CanHaveFree(long bytes) => bytes < Size;

    /// <summary>The room of the volume that a folder is on, or would be on: a folder that is missing counts as its parent.</summary>
    /// <exception cref="IOException">The volume cannot be asked.</exception>
    public static VolumeRoom Of(string folder)
    {
        var existing = folder;
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { Length: > 0 } parent)
            existing = parent;
        // Other systems have another layout of this call's answer.
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            var drive = new DriveInfo(existing);
            return new(
                Math.Min(drive.AvailableFreeSpace, MaxBytes), Math.Min(drive.TotalSize, MaxBytes), long.MaxValue, long.MaxValue, false);
        }
        const int fragmentSize = 1, blocks = 2, free = 3, available = 4, allFiles = 5, availableFiles = 7, flags = 9, readOnly = 1;
        Span<ulong> found = stackalloc ulong[32];
        if (Statvfs(existing, ref MemoryMarshal.GetReference(found)) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            throw new IOException($"Cannot ask how much room '{folder}' has: {Marshal.GetPInvokeErrorMessage(error)}.", error);
        }
        var hasFiles = found[allFiles] != 0;
        return new(
            Bytes(found[available], found[fragmentSize]),
            // Some free blocks are reserved for root.
            Bytes(found[blocks] - (found[free] - found[available]), found[fragmentSize]),
            hasFiles ? (long)Math.Min(found[availableFiles], long.MaxValue) : long.MaxValue,
            hasFiles ? (long)Math.Min(found[allFiles], long.MaxValue) : long.MaxValue,
            (found[flags] & readOnly) != 0);

        static long Bytes(ulong blocks, ulong size) => (long)Math.Min(blocks, MaxBytes / size) * (long)size;
    }

    [LibraryImport("libc", EntryPoint = "statvfs", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statvfs(string path, ref ulong found);
}
