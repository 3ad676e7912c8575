using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Mirror.Storage.Disk;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Stores;

/// <summary>
/// A child process has a copy of each open file for a moment, until it runs its program. Here a copy that stays plays this child.
/// </summary>
public sealed partial class LockOfWrittenFileTests
{
    [Fact]
    public void A_written_file_can_be_read_although_a_new_child_process_still_has_it()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "has no fork");
        using var folder = new TempFolder();
        var path = Path.Combine(folder.Path, "file");
        var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write, FileShare.None);
        using var copyOfChild = new SafeFileHandle(Duplicate((int)file.DangerousGetHandle()), ownsHandle: true);
        RandomAccess.Write(file, [1, 2, 3], 0);

        DiskFlush.Close(file);

        Assert.Equal([1, 2, 3], File.ReadAllBytes(path));
    }

    [LibraryImport("libc", EntryPoint = "dup")]
    private static partial int Duplicate(int file);
}
