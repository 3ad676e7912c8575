using Mirror.Storage.Disk;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Deleting folders on a volume that is read-only.</summary>
public sealed class ReadOnlyFoldersTests
{
    [Fact]
    public async Task An_empty_folder_that_cannot_be_deleted_is_no_matter_of_rights()
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        var folder = Directory.CreateDirectory(Path.Combine(volume.Path, "empty")).FullName;
        await volume.RemountAsync("ro");
        Assert.Throws<IOException>(() => Folders.Delete(folder));
        await volume.RemountAsync("rw");
        await LoopVolume.CloseAsync(volume.Path);
        Assert.Throws<UnauthorizedAccessException>(() => Folders.Delete(folder));
    }
}
