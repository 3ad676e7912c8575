using Mirror.Storage.Disk;
using Mirror.Storage.Spooling;
using Xunit;

namespace Mirror.Storage.Tests.Spooling;

/// <summary>The file beside a spool from which a later process goes on.</summary>
public sealed class SpoolCheckpointTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mirror-tests-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public void What_was_written_for_a_spool_is_read_for_the_same_spool_only(string algorithm)
    {
        var path = Path.Combine(_folder, "spool");
        File.WriteAllBytes(path, new byte[1000]);
        var inode = FolderPlace.Of(path)!.Value.Inode;
        byte[] state = [1, 2, 3];
        using var file = File.OpenHandle(path);
        SpoolCheckpoint.Write(path, inode, file, algorithm, 960, state);

        Assert.Equal((960, state), SpoolCheckpoint.Read(path, inode, file, algorithm, 1000));
        Assert.Null(SpoolCheckpoint.Read(path, inode + 1, file, algorithm, 1000));
        Assert.Null(SpoolCheckpoint.Read(path, inode, file, algorithm, 900));
        Assert.Null(SpoolCheckpoint.Read(path, inode, file, algorithm is "sha256" ? "sha512" : "sha256", 1000));
    }
}
