using Mirror.Configuration;
using Mirror.Maintenance;
using Mirror.Repositories;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Files;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.Hosting;

/// <summary>Wires the store that the configuration has chosen.</summary>
public static class StorageRegistration
{
    /// <summary>Adds the interfaces of a store, and keyed with <see cref="CheckedContentStore.Unchecked"/> its content as it is.</summary>
    public static IServiceCollection AddStorage(this IServiceCollection services, StorageOptions storage) =>
        storage.S3 is { } s3 ? services.AddBucket(s3) : services.AddFiles(storage.Filesystem.RootDirectory);

    /// <summary>The store by itself, for a command that runs beside the server that serves it.</summary>
    public static ServiceProvider Open(this StorageOptions storage)
    {
        // What is local belongs to the server, and the command is about the store.
        storage.S3?.LocalCache = new();
        return new ServiceCollection().AddLogging().AddSingleton(TimeProvider.System).AddStorage(storage).BuildServiceProvider();
    }

    private static IServiceCollection AddFiles(this IServiceCollection services, string root) => services
        .AddContent(provider => provider.Timed(new FileContentStore(root), "filesystem"))
        .AddSingleton<IReferenceStore>(provider => provider.Timed(new FileReferenceStore(root), "filesystem"))
        .AddSingleton<IReferrerStore>(new FileReferrerStore(root))
        .AddSingleton<IUploadStore>(new FileUploadStore(root))
        .AddSingleton<ISweepStore>(new FileSweepStore(root));

    private static IServiceCollection AddBucket(this IServiceCollection services, S3Options options) => services
        .AddSingleton(provider => new S3Bucket(options, provider.GetRequiredService<TimeProvider>()))
        .AddSingleton<BucketContentStore>()
        .AddContent(provider => provider.Timed(provider.GetRequiredService<BucketContentStore>(), "s3aws"))
        .AddSingleton<IReferenceStore>(provider =>
        {
            var references = provider.Timed(new BucketReferenceStore(provider.GetRequiredService<S3Bucket>()), "s3aws");
            return options.LocalCache.Path is { } local ? new FallbackReferenceStore(references, new FileReferenceStore(Path.Combine(local, "seen"))) : references;
        })
        .AddSingleton<IReferrerStore, BucketReferrerStore>()
        // A push on its way in belongs to the process that takes it, like a download.
        .AddSingleton<IUploadStore>(new FileUploadStore(options.Scratch))
        .AddSingleton<ISweepStore, BucketSweepStore>()
        .AddHostedService<BucketUpkeep>();

    private static IServiceCollection AddContent(this IServiceCollection services, Func<IServiceProvider, IContentStore> store) => services
        .AddKeyedSingleton(CheckedContentStore.Unchecked, (provider, _) => store(provider))
        .AddSingleton<IContentStore>(provider => ActivatorUtilities.CreateInstance<CheckedContentStore>(provider, provider.GetRequiredKeyedService<IContentStore>(CheckedContentStore.Unchecked)));
}
