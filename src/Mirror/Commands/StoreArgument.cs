using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Storage;
using Mirror.Storage.Buckets;
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
        try
        {
            return !Entries.HasFolder(root) ? $"{key}: the folder {root} does not exist"
                : Entries.HasFolder(Path.Combine(root, "docker", "registry", "v2")) || Entries.HasFolder(Path.Combine(root, "mirror"))
                || !Directory.EnumerateFileSystemEntries(root).Any()
                ? null
                : $"{key}: the folder {root} has files, but no registry: there is no docker/registry/v2 in it";
        }
        catch (UnauthorizedAccessException)
        {
            return $"{key}: this user may not read the folder {root}";
        }
        catch (IOException failure)
        {
            return $"{key}: the folder {root} cannot be read: {failure.Message}";
        }
    }

    /// <summary>As <see cref="Mistake"/>, for storage that a command writes to: it makes a folder that is not there yet.</summary>
    public static string? TargetMistake(StorageOptions storage)
    {
        var folder = storage.Bucket() is { } bucket ? bucket.NamesFolder : storage.Filesystem.RootDirectory;
        return storage.InMemory is null && folder is not null && !Directory.Exists(folder) ? null : Mistake(storage);
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

    /// <summary>Opens the storage that a copy or an import writes to. A missing container is made.</summary>
    public static async ValueTask<ServiceProvider> OpenTargetAsync(
        StorageOptions target, bool isDryRun, CancellationToken cancellationToken)
    {
        var stores = target.Open(makesContainer: !isDryRun);
        if (!isDryRun || stores.GetService<IBucket>() is not { } bucket || !await IsContainerMissingAsync(bucket, cancellationToken))
            return stores;
        // A dry run makes nothing: the container that is not there is an empty store.
        await stores.DisposeAsync();
        return new StorageOptions { InMemory = new() }.Open();
    }

    /// <summary>Writes a warning for each folder that is skipped.</summary>
    public static void WarnOfUnreadable(IServiceProvider stores, TextWriter error)
    {
        if (stores.GetService<UnreadableFolders>() is { } unreadable)
            unreadable.Found += folder => error.WriteLine($"warning: this user may not read {folder}; it is skipped");
    }

    private static async ValueTask<bool> IsContainerMissingAsync(IBucket bucket, CancellationToken cancellationToken)
    {
        try
        {
            await bucket.CheckAsync(cancellationToken);
            return false;
        }
        catch (StoreUnavailableException failure)
        {
            return failure.IsContainerMissing;
        }
    }
}
