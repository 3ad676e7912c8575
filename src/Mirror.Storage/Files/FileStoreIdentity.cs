using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>
/// The random identity of a store's folder. All processes that share the folder read the same one, and no other folder has it.
/// </summary>
public static class FileStoreIdentity
{
    /// <summary>
    /// Returns the identity of the store in <paramref name="root"/>. The first process that calls this writes the identity.
    /// </summary>
    /// <exception cref="IOException">The folder cannot be read or written; also as <see cref="UnauthorizedAccessException"/>.</exception>
    public static string Of(string root)
    {
        var path = Path.Combine(root, RegistryLayout.StoreIdentity);
        if (!File.Exists(path))
            Durable.WriteFile(Path.Combine(root, RegistryLayout.Temporary), path, Guid.NewGuid().ToByteArray(), static (written, final) =>
            {
                // If another process was first, keep its file.
                Durable.Link(written, final);
                File.Delete(written);
                DiskFlush.OfFolder(Path.GetDirectoryName(final)!);
            });
        return Convert.ToHexStringLower(File.ReadAllBytes(path));
    }

    /// <summary>The identity of the store in <paramref name="root"/>; null where there is none, or where it cannot be read.</summary>
    internal static string? Find(string root)
    {
        try
        {
            return Convert.ToHexStringLower(File.ReadAllBytes(Path.Combine(root, RegistryLayout.StoreIdentity)));
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            return null;
        }
    }
}
