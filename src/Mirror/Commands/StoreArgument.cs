using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Storage.Disk;

namespace Mirror.Commands;

/// <summary>Checks of the storage that a command works on.</summary>
internal static class StoreArgument
{
    /// <summary>Why the storage cannot be a registry's; null if it may be. A mistyped folder must not pass as an empty store.</summary>
    public static string? Mistake(StorageOptions storage)
    {
        if (storage.InMemory is not null)
            return "storage.inmemory: the content is in the memory of the running server, where no command can reach it";
        var bucket = storage.Bucket();
        if (bucket is not null && bucket.NamesFolder is null)
            return null;
        var root = bucket?.NamesFolder ?? storage.Filesystem.RootDirectory;
        var key = $"storage.{storage.Driver}.rootdirectory";
        if (!Directory.Exists(root))
            return $"{key}: the folder {root} does not exist";
        try
        {
            return Directory.Exists(Path.Combine(root, "docker", "registry", "v2")) || Directory.Exists(Path.Combine(root, "mirror"))
                || !Directory.EnumerateFileSystemEntries(root).Any()
                ? null
                : $"{key}: the folder {root} has files, but no registry: there is no docker/registry/v2 in it";
        }
        catch (UnauthorizedAccessException)
        {
            return $"{key}: this user may not read the folder {root}";
        }
    }

    /// <summary>Opens the storage that a command works on. Folders that it has to skip are told in warnings.</summary>
    /// <returns>Null if the storage cannot be a registry's. The reason has been written.</returns>
    public static async ValueTask<ServiceProvider?> OpenAsync(StorageOptions storage, TextWriter error)
    {
        if (Mistake(storage) is { } mistake)
        {
            await error.WriteLineAsync($"error: {mistake}");
            return null;
        }
        var stores = storage.Open();
        WarnOfUnreadable(stores, error);
        return stores;
    }

    /// <summary>Writes a warning for each folder that is skipped.</summary>
    public static void WarnOfUnreadable(IServiceProvider stores, TextWriter error)
    {
        if (stores.GetService<UnreadableFolders>() is { } unreadable)
            unreadable.Found += folder => error.WriteLine($"warning: this user may not read the folder {folder}; it is skipped");
    }
}
