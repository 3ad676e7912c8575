using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Split;
using Mirror.Storage.Files;
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
                try
                {
                    await TryAsync(bucket, isReadOnly: storage.Maintenance.ReadOnly.Enabled, cancellationToken);
                    if (await bucket.FindElsewhereAsync(cancellationToken) is { } elsewhere)
                        await error.WriteLineAsync($"warning: {elsewhere}");
                }
                finally
                {
                    if (bucket.ClockFault(DateTimeOffset.UtcNow) is { } fault)
                        await error.WriteLineAsync($"warning: {fault}");
                }
            await error.WriteLineAsync($"online: the store {storage.Location} can be used");
            return ExitCode.Ok;
        }
        catch (StoreUnavailableException missing) when (missing.IsContainerMissing)
        {
            await error.WriteLineAsync($"online: the container of {storage.Location} is not there; the server makes it when it starts");
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
        var existing = Path.GetFullPath(root);
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { } parent)
            existing = parent;
        try
        {
            if (existing == Path.GetFullPath(root))
                WriteTrial.Run(existing, [], isFlushed: true);
            else
                WriteTrial.Write(existing, isFlushed: true);
            return null;
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            return $"storage.filesystem.rootdirectory: {failure.Reason}; mount it for writing, make room in it, or give it to this user "
                + "(chown -R)";
        }
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
            try
            {
                if (!await bucket.HasAsync(path, bytes, cancellationToken))
                    throw new StoreUnavailableException(
                        $"{bucket.Name}{path} was written, and could not be read back: see what is in front of the store");
            }
            finally
            {
                await bucket.DeleteAsync(path, cancellationToken);
            }
        }
    }
}
