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
        try
        {
            if (storage.InMemory is null && StoreArgument.Mistake(storage) is { } mistake)
                throw new IOException(mistake);
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
