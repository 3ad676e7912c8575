using System.Runtime.InteropServices;
using System.Text;

namespace Mirror.Hosting;

/// <summary>
/// Lets a process that was started as root run as the owner of its storage. The container image starts as root, because the key files and
/// volumes of its users often belong to root.
/// </summary>
internal static class RootPrivileges
{
    // The user that container images conventionally call "nonroot".
    private const uint NonRoot = 65532;

    private const int CurrentFolder = -100; // AT_FDCWD
    private const uint Owner = 0x18; // STATX_UID | STATX_GID

    /// <summary>
    /// Does nothing if the process is not root, or if <paramref name="folder"/> belongs to root and has content, as an old volume has.
    /// An empty folder is first given to user 65532.
    /// </summary>
    /// <param name="also">A folder that is given to the same user if it is empty; null for none.</param>
    /// <exception cref="IOException">The system refused.</exception>
    public static void DropTo(string folder, string? also = null)
    {
        if (!OperatingSystem.IsLinux() || geteuid() != 0)
            return;
        Directory.CreateDirectory(folder);
        var path = Encoding.UTF8.GetBytes(folder + '\0');
        if (!Directory.EnumerateFileSystemEntries(folder).Any())
            Check(chown(path, NonRoot, NonRoot), $"give {folder} to user {NonRoot}");
        var (user, group) = OwnerOf(path, folder);
        if (user == 0)
            return;
        if (also is not null)
            Directory.CreateDirectory(also);
        if (also is not null && !Directory.EnumerateFileSystemEntries(also).Any())
            Check(chown(Encoding.UTF8.GetBytes(also + '\0'), user, group), $"give {also} to user {user}");
        Check(setgroups(0, 0), "drop root's groups");
        Check(setgid(group), $"run as group {group}");
        Check(setuid(user), $"run as user {user}");
    }

    // statx(2) has the same layout on every processor: stx_uid is at byte 20, stx_gid at byte 24.
    private static (uint User, uint Group) OwnerOf(byte[] path, string folder)
    {
        var status = new byte[256];
        Check(statx(CurrentFolder, path, 0, Owner, status), $"see the owner of {folder}");
        return (BitConverter.ToUInt32(status, 20), BitConverter.ToUInt32(status, 24));
    }

    private static void Check(int result, string what)
    {
        if (result != 0)
            throw new IOException($"cannot {what}: {Marshal.GetLastPInvokeErrorMessage()}");
    }

#pragma warning disable IDE1006 // The names are the C library's.
#pragma warning disable SYSLIB1054 // Source generation would need unsafe code in this project.
    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern uint geteuid();

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int chown(byte[] path, uint owner, uint group);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int statx(int folder, byte[] path, int flags, uint mask, byte[] status);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int setgroups(nuint count, nint groups);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int setgid(uint group);

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int setuid(uint user);
}
