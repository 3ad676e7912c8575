using System.Security.Cryptography;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>The secret of a store in a folder: a file that only its owner may read.</summary>
public sealed class FileStoreSecret(StoreRoot root) : IStoreSecret
{
    public ValueTask<byte[]> ReadAsync(CancellationToken cancellationToken)
    {
        var path = root.PathOf(RegistryLayout.StoreSecret);
        if (!File.Exists(path))
            Write(path);
        return ValueTask.FromResult(File.ReadAllBytes(path));
    }

    private void Write(string path)
    {
        var temporary = Path.Combine(root.PathOf(RegistryLayout.Temporary), Path.GetRandomFileName());
        Directory.CreateDirectory(Path.GetDirectoryName(temporary)!);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        try
        {
            using (var file = new FileStream(temporary, options))
            {
                file.Write(RandomNumberGenerator.GetBytes(32));
                file.Flush();
                DiskFlush.OfFile(file.SafeFileHandle);
            }
            // If another process was first, keep its file.
            Durable.Link(temporary, path);
        }
        finally
        {
            File.Delete(temporary);
        }
        DiskFlush.OfFolder(Path.GetDirectoryName(path)!);
    }
}
