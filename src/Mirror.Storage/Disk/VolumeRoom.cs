using System.Runtime.InteropServices;

namespace Mirror.Storage.Disk;

/// <summary>What the volume of a folder has left (statvfs(3)).</summary>
/// <param name="Bytes">How many bytes this user may still write; <see cref="MaxBytes"/> at most.</param>
/// <param name="Files">How many files and folders it takes; <see cref="long.MaxValue"/> where the file system has no such limit.</param>
public readonly partial record struct VolumeRoom(long Bytes, long Files, bool IsReadOnly)
{
    /// <summary>
    /// What a volume with more room counts as: 64 PiB. Network file systems report 8 EiB, and a multiple of that is no 64-bit number.
    /// </summary>
    public const long MaxBytes = 1L << 56;

    /// <summary>The room of the volume that a folder is on, or would be on: a folder that is missing counts as its parent.</summary>
    /// <exception cref="IOException">The volume cannot be asked.</exception>
    public static VolumeRoom Of(string folder)
    {
        var existing = folder;
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { Length: > 0 } parent)
            existing = parent;
        // Other systems have another layout of this call's answer.
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
            return new(Math.Min(new DriveInfo(existing).AvailableFreeSpace, MaxBytes), long.MaxValue, false);
        const int fragmentSize = 1, available = 4, allFiles = 5, availableFiles = 7, flags = 9, readOnly = 1;
        Span<ulong> found = stackalloc ulong[32];
        if (Statvfs(existing, ref MemoryMarshal.GetReference(found)) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            throw new IOException($"Cannot ask how much room '{folder}' has: {Marshal.GetPInvokeErrorMessage(error)}.", error);
        }
        return new(
            (long)Math.Min(found[available], MaxBytes / found[fragmentSize]) * (long)found[fragmentSize],
            found[allFiles] == 0 ? long.MaxValue : (long)Math.Min(found[availableFiles], long.MaxValue),
            (found[flags] & readOnly) != 0);
    }

    [LibraryImport("libc", EntryPoint = "statvfs", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statvfs(string path, ref ulong found);
}
