using System.Globalization;
using System.Security.Cryptography;
using Mirror.Storage;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Resilience;

/// <summary>A small file system of its own, which can be filled up, made read-only, and lose its power.</summary>
internal sealed class LoopVolume : IAsyncDisposable
{
    private readonly TempFolder _folder = new();

    private LoopVolume()
    {
    }

    public static Availability Availability => Availability.OfRoot("mkfs.ext4", "losetup");

    public string Path => _folder.Folder("volume");

    private string Image => _folder["image"];

    private string Ballast => System.IO.Path.Combine(Path, "ballast");

    /// <param name="options">More mount options, such as <c>commit=600</c>: nothing reaches the disk by itself for so many seconds.</param>
    public static async Task<LoopVolume> MountAsync(int megabytes, int inodes, string options = "defaults")
    {
        Availability.OrSkip();
        var volume = new LoopVolume();
        using (var file = File.OpenHandle(volume.Image, FileMode.Create, FileAccess.Write))
            RandomAccess.SetLength(file, (long)megabytes << 20);
        await PeerProcess.RunAsync("mkfs.ext4", ["-q", "-m", "0", "-N", inodes.ToString(CultureInfo.InvariantCulture), volume.Image]);
        await volume.MountAsync(options);
        return volume;
    }

    /// <summary>
    /// What would be on the disk if the power failed now, as another volume: a copy of what this file system has handed to its device, and
    /// of nothing that it only holds in memory. Processes that write to it are blocked meanwhile.
    /// </summary>
    public async Task<LoopVolume> AfterPowerCutAsync()
    {
        var after = new LoopVolume();
        // A copy takes a while: it is of one moment only where nothing has changed until it was done.
        await Until.TrueAsync(
            async () =>
            {
                File.Copy(Image, after.Image, overwrite: true);
                return await IsSameAsync(Image, after.Image);
            },
            () => "The volume is written to all the time.");
        await after.MountAsync("defaults");
        return after;
    }

    /// <summary>Takes every byte that is free, or all but some.</summary>
    public void FillUp(long leave = 0)
    {
        using (var file = File.OpenHandle(Ballast, FileMode.Create, FileAccess.Write))
        {
            var offset = 0L;
            // To the last block.
            foreach (var piece in new[] { 64 * 1024, 1024 })
                try
                {
                    for (; ; offset += piece)
                        RandomAccess.Write(file, new byte[piece], offset);
                }
                catch (IOException)
                {
                    // Full.
                    offset = RandomAccess.GetLength(file);
                }
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

    /// <summary>Takes it away under the feet of whatever has files open on it.</summary>
    public Task UnmountAsync() => PeerProcess.RunAsync("umount", ["-l", Path]);

    /// <summary>Mounts it where it was, on another loop device if the first is still in use.</summary>
    public Task MountAgainAsync() => MountAsync("defaults");

    /// <summary>Forbids every user, root too, to change what a folder lists.</summary>
    public static Task CloseAsync(string folder) => PeerProcess.RunAsync("chattr", ["+i", folder]);

    private static async Task<bool> IsSameAsync(string one, string other)
    {
        await using var a = File.OpenRead(one);
        await using var b = File.OpenRead(other);
        return Digest.FromHash("sha256", await SHA256.HashDataAsync(a)) == Digest.FromHash("sha256", await SHA256.HashDataAsync(b));
    }

    private async Task MountAsync(string options)
    {
        try
        {
            await PeerProcess.RunAsync("mount", ["-o", $"loop,{options}", Image, Path]);
        }
        catch (PeerFailedException)
        {
            _folder.Dispose();
            Xunit.Assert.Skip("no file system can be mounted here");
        }
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await UnmountAsync();
        }
        catch (PeerFailedException)
        {
            // A test that failed in the middle has left it unmounted.
        }
        _folder.Dispose();
    }
}
