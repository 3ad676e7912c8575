using System.Runtime.InteropServices;

namespace Mirror.Storage.Disk;

/// <summary>Where a folder or a file is: no two that exist at a time have the same place, whatever their paths are (inode(7)).</summary>
internal readonly partial record struct FolderPlace(uint DeviceMajor, uint DeviceMinor, ulong Inode)
{
    /// <summary>The place of a folder; null where there is none. On other systems than Linux every folder has the same place.</summary>
    public static FolderPlace? Of(string path)
    {
        const int currentFolder = -100;
        // Only what is wanted: the inode. The device comes in any case.
        const uint inode = 0x100;
        const int inodeAt = 0x20, majorAt = 0x88, minorAt = 0x8c;
        if (!OperatingSystem.IsLinux())
            return Directory.Exists(path) ? default(FolderPlace) : null;
        Span<byte> found = stackalloc byte[256];
        return Statx(currentFolder, path, 0, inode, ref MemoryMarshal.GetReference(found)) == 0
            ? new(Read<uint>(found[majorAt..]), Read<uint>(found[minorAt..]), Read<ulong>(found[inodeAt..]))
            : null;

        static T Read<T>(ReadOnlySpan<byte> at) where T : struct => MemoryMarshal.Read<T>(at);
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int folder, string path, int flags, uint wanted, ref byte found);
}
