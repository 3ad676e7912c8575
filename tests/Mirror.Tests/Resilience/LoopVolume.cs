using System.Globalization;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Resilience;

/// <summary>A small file system of its own, which can be filled up and made read-only.</summary>
internal sealed class LoopVolume : IAsyncDisposable
{
    private readonly TempFolder _folder = new();

    private LoopVolume()
    {
    }

    public static Availability Availability => Availability.OfRoot("mkfs.ext4", "losetup");

    public string Path => _folder.Folder("volume");

    private string Ballast => System.IO.Path.Combine(Path, "ballast");

    public static async Task<LoopVolume> MountAsync(int megabytes, int inodes)
    {
        Availability.OrSkip();
        var volume = new LoopVolume();
        var image = volume._folder["image"];
        using (var file = File.OpenHandle(image, FileMode.Create, FileAccess.Write))
            RandomAccess.SetLength(file, (long)megabytes << 20);
        await PeerProcess.RunAsync("mkfs.ext4", ["-q", "-m", "0", "-N", inodes.ToString(CultureInfo.InvariantCulture), image]);
        try
        {
            await PeerProcess.RunAsync("mount", ["-o", "loop", image, volume.Path]);
        }
        catch (PeerFailedException)
        {
            volume._folder.Dispose();
            Xunit.Assert.Skip("no file system can be mounted here");
        }
        return volume;
    }

    /// <summary>Takes every byte that is free, or all but some.</summary>
    public void FillUp(long leave = 0)
    {
        using (var file = File.OpenHandle(Ballast, FileMode.Create, FileAccess.Write))
            try
            {
                for (var offset = 0L; ; offset += 64 * 1024)
                    RandomAccess.Write(file, new byte[64 * 1024], offset);
            }
            catch (IOException)
            {
                // Full.
            }
        if (leave > 0)
            using (var file = File.OpenHandle(Ballast, FileMode.Open, FileAccess.ReadWrite))
                RandomAccess.SetLength(file, RandomAccess.GetLength(file) - leave);
    }

    /// <summary>Takes every inode that is free.</summary>
    public void FillUpInodes()
    {
        var folder = Directory.CreateDirectory(Ballast).FullName;
        try
        {
            for (var i = 0; ; i++)
                File.Create(System.IO.Path.Combine(folder, i.ToString(CultureInfo.InvariantCulture))).Dispose();
        }
        catch (IOException)
        {
            // Full.
        }
    }

    public void Relieve()
    {
        if (Directory.Exists(Ballast))
            Directory.Delete(Ballast, recursive: true);
        File.Delete(Ballast);
    }

    /// <summary>Mounts it anew where it is. The kernel refuses as long as the program is just closing a file it wrote.</summary>
    public async Task RemountAsync(string how)
    {
        var said = "";
        await Until.TrueAsync(
            async () =>
            {
                try
                {
                    await PeerProcess.RunAsync("mount", ["-o", $"remount,{how}", Path]);
                    return true;
                }
                catch (PeerFailedException busy) when (busy.Message.Contains("busy", StringComparison.Ordinal))
                {
                    said = busy.Message;
                    return false;
                }
            },
            () => said);
    }

    public async ValueTask DisposeAsync()
    {
        await PeerProcess.RunAsync("umount", ["-l", Path]);
        _folder.Dispose();
    }
}
