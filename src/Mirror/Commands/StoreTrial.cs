using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Split;
using Mirror.Storage.Stores;

namespace Mirror.Commands;

/// <summary>Tries the store of a configuration, and says in words what is wrong with it.</summary>
internal static class StoreTrial
{
    /// <summary>Writes a line about the store.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(MirrorConfiguration configuration, TextWriter error, CancellationToken cancellationToken)
    {
        var storage = configuration.Options.Storage;
        var isFolder = storage.InMemory is null && storage.Bucket() is null;
        // The server makes its folder, but not one that is a part of a bucket.
        var isNew = isFolder && !Directory.Exists(storage.Filesystem.RootDirectory);
        var mistake = storage.InMemory is null && !isNew ? StoreArgument.Mistake(storage) : null;
        if (isFolder && !storage.Maintenance.ReadOnly.Enabled)
            mistake ??= WhyNotWritten(storage.Filesystem.RootDirectory);
        if (mistake is not null)
        {
            await error.WriteLineAsync($"error: {configuration.Source}: {mistake}");
            return ExitCode.Failed;
        }
        try
        {
            if (isNew)
            {
                await error.WriteLineAsync($"online: the folder {storage.Location} is not there; the server makes it when it starts");
                return ExitCode.Ok;
            }
            await using var stores = storage.Open();
            if (stores.GetService<IBucket>() is { } bucket)
                await TryAsync(bucket, isReadOnly: storage.Maintenance.ReadOnly.Enabled, cancellationToken);
            await error.WriteLineAsync($"online: the store {storage.Location} can be used");
            return ExitCode.Ok;
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            await error.WriteLineAsync($"error: {configuration.Source}: storage.{storage.Driver}: {failure.Message}");
            return ExitCode.Failed;
        }
    }

    // Why no file can be made in the folder, or where the server would make the folder; null if one can. Nothing stays of the trial.
    private static string? WhyNotWritten(string root)
    {
        const string key = "storage.filesystem.rootdirectory";
        var existing = Path.GetFullPath(root);
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { } parent)
            existing = parent;
        // Another user may have made those below the root.
        foreach (var folder in new[] { existing, Path.Combine(root, "docker", "registry", "v2"), Path.Combine(root, "mirror") })
            try
            {
                if (!Directory.Exists(folder))
                    continue;
                var trial = Path.Combine(folder, $".trial-{Guid.NewGuid():N}");
                using var file = new FileStream(trial, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
                file.Write(new byte[4096]);
                file.Flush(flushToDisk: true);
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                return $"{key}: user {Environment.UserName} cannot write to the folder {folder}: {failure.Message}; "
                    + "mount it for writing, make room in it, or give it to this user (chown -R)";
            }
        return null;
    }

    private static async Task TryAsync(IBucket bucket, bool isReadOnly, CancellationToken cancellationToken)
    {
        await bucket.CheckAsync(cancellationToken);
        // A registry that is read-only may have credentials that only read.
        if (isReadOnly)
            return;
        var bytes = Guid.NewGuid().ToByteArray();
        await TryAsync($"mirror/trial-{Guid.NewGuid():N}");
        // Its service keeps content only. If this process ends before it deletes the object, a garbage collection does.
        if (bucket is SplitBucket)
            await TryAsync(RegistryLayout.BlobData(Digest.Of(bytes)));

        async ValueTask TryAsync(string path)
        {
            await bucket.PutAsync(path, () => new MemoryStream(bytes), bytes.Length, onlyIfAbsent: false, cancellationToken);
            await bucket.DeleteAsync(path, cancellationToken);
        }
    }
}
