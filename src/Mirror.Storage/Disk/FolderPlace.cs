using System.Runtime.InteropServices;

namespace Mirror.Storage.Disk;

/// <summary>Where a folder or a file is: no two that exist at a time have the same place, whatever their paths are (inode(7)).</summary>
internal readonly partial record struct FolderPlace(uint DeviceMajor, uint DeviceMinor, ulong Inode)
{
    // Of the answer of statx(2).
    private const int Size = 256;

    /// <summary>The place of a folder; null where there is none. On other systems than Linux every folder has the same place.</summary>
    public static FolderPlace? Of(string path)
    {
        const int inodeAt = 0x20, majorAt = 0x88, minorAt = 0x8c;
        if (!OperatingSystem.IsLinux())
            return Directory.Exists(path) ? default(FolderPlace) : null;
        Span<byte> found = stackalloc byte[Size];
        return TryLook(path, found)
            ? new(Read<uint>(found[majorAt..]), Read<uint>(found[minorAt..]), Read<ulong>(found[inodeAt..]))
            : null;
    }

    /// <summary>Whether something is mounted at a path. Always false on other systems than Linux, and before Linux 5.8.</summary>
    public static bool IsMountPoint(string path)
    {
        const int attributesAt = 0x8;
        const ulong rootOfMount = 0x2000;
        Span<byte> found = stackalloc byte[Size];
        return OperatingSystem.IsLinux() && TryLook(path, found) && (Read<ulong>(found[attributesAt..]) & rootOfMount) != 0;
    }

    private static bool TryLook(string path, Span<byte> found)
    {
        const int currentFolder = -100;
        // Only what is wanted: the inode. The device and the attributes come in any case.
        const uint inode = 0x100;
        return Statx(currentFolder, path, 0, inode, ref MemoryMarshal.GetReference(found)) == 0;
    }

    private static T Read<T>(ReadOnlySpan<byte> at) where T : struct => MemoryMarshal.Read<T>(at);

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int folder, string path, int flags, uint wanted, ref byte found);
}
