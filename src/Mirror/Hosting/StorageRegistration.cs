using Mirror.Admin;
using Mirror.Configuration;
using Mirror.Health;
using Mirror.Maintenance;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Azure;
using Mirror.Storage.Buckets.Elliptics;
using Mirror.Storage.Buckets.Gcs;
using Mirror.Storage.Buckets.Glance;
using Mirror.Storage.Buckets.Memory;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Buckets.Swift;
using Mirror.Storage.Disk;
using Mirror.Storage.Files;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.Hosting;

/// <summary>Registers the store that the configuration chooses: one method for each kind.</summary>
public static class StorageRegistration
{
    /// <summary>
    /// Adds the interfaces of the store. The key <see cref="CheckedContentStore.Unchecked"/> gives its content without checks.
    /// </summary>
    /// <param name="makesContainer">Whether a missing container of Azure or Swift is made, as registry:2 does.</param>
    public static IServiceCollection AddStorage(
        this IServiceCollection services, StorageOptions storage, bool makesContainer = true) =>
        storage.S3 is { } s3 ? services.AddBucket(s3, "s3aws", time => new S3Bucket(s3, time))
        : storage.Oss is { } oss ? services.AddBucket(oss, "oss", time => new S3Bucket(oss.ToS3(), time))
        : storage.Gcs is { } gcs ? services.AddBucket(gcs, "gcs", time => new GcsBucket(gcs, time))
        : storage.Azure is { } azure ? services.AddBucket(azure, "azure", time => new AzureBucket(azure, time, makesContainer))
        : storage.Swift is { } swift ? services.AddBucket(swift, "swift", time => new SwiftBucket(swift, time, makesContainer))
        : storage.Glance is { } glance ? services.AddBucket(glance, "glance", time => new GlanceBucket(glance, time, makesContainer))
        : storage.Elliptics is { } elliptics
            ? services.AddBucket(elliptics, "elliptics", time => new EllipticsBucket(elliptics, time))
        : storage.InMemory is { } memory ? services
            .AddBucket(memory, "inmemory", time => new MemoryBucket(memory, time))
            .AddSingleton(provider => ((MemoryBucket)provider.GetRequiredService<IBucket>()).Room)
        : services.AddFiles(storage.Filesystem.RootDirectory);

    /// <summary>The store alone, for a command that runs beside the server.</summary>
    /// <param name="makesContainer">Whether a missing container is made. A mistyped one must not become an empty store.</param>
    public static ServiceProvider Open(this StorageOptions storage, bool makesContainer = false)
    {
        // The local cache belongs to the server.
        storage.Bucket()?.LocalCache = new();
        return new ServiceCollection().AddLogging().AddSingleton(TimeProvider.System).AddStorage(storage, makesContainer)
            .BuildServiceProvider();
    }

    private static IServiceCollection AddFiles(this IServiceCollection services, string folder)
    {
        StoreRoot root = new(folder, isChecked: true);
        var unreadable = new UnreadableFolders();
        return services
            .AddSingleton(root)
            .AddSingleton(unreadable)
            .AddContent(provider => provider.Timed(new FileContentStore(root, unreadable), "filesystem"))
            .AddSingleton(provider => provider.Noting(provider.Timed(new FileReferenceStore(root, unreadable), "filesystem")))
            .AddSingleton<IReferrerStore>(new FileReferrerStore(root, unreadable))
            .AddSingleton<IUploadStore>(new FileUploadStore(root, unreadable))
            .AddSingleton(new InterruptedSpools(Path.Combine(root.Path, RegistryLayout.Fills)))
            .AddSingleton<IProvenanceStore>(new FileProvenanceStore(root, unreadable))
            .AddSingleton<IPinStore>(new FilePinStore(root, unreadable))
            .AddSingleton<IStoreSecret>(new FileStoreSecret(root))
            .AddSingleton<IDateStore>(new FileDateStore(root))
            .AddSingleton<ISweepStore>(new FileSweepStore(root, unreadable))
            .AddHostedService<StorePresence>();
    }

    private static IServiceCollection AddBucket(
        this IServiceCollection services, BucketOptions options, string driver, Func<TimeProvider, IBucket> open) => services
        .AddSingleton(provider => open(provider.GetRequiredService<TimeProvider>()))
        .AddContent(provider => provider.Timed(ActivatorUtilities.CreateInstance<BucketContentStore>(provider, options), driver))
        .AddSingleton(provider =>
        {
            var references = provider.Timed(ActivatorUtilities.CreateInstance<BucketReferenceStore>(provider), driver);
            return provider.Noting(options.LocalCache.Path is { } local
                ? new FallbackReferenceStore(references, new FileReferenceStore(Path.Combine(local, "seen")))
                : references);
        })
        .AddSingleton<IReferrerStore, BucketReferrerStore>()
        .AddSingleton<IProvenanceStore, BucketProvenanceStore>()
        .AddSingleton<IPinStore, BucketPinStore>()
        .AddSingleton<IStoreSecret, BucketStoreSecret>()
        .AddSingleton<IDateStore, BucketDateStore>()
        // A push belongs to the process that takes it until it is committed, as a download does.
        .AddSingleton<IUploadStore>(new FileUploadStore(options.Scratch))
        .AddSingleton(new InterruptedSpools([.. Digest.Algorithms.Select(algorithm => Path.Combine(options.Scratch, algorithm))]))
        .AddSingleton<ISweepStore>(provider => ActivatorUtilities.CreateInstance<BucketSweepStore>(provider, options.Scratch))
        .AddHostedService<BucketUpkeep>();

    private static IServiceCollection AddContent(this IServiceCollection services, Func<IServiceProvider, IContentStore> open) => services
        .AddSingleton<ExpectedSizes>()
        .AddKeyedSingleton(CheckedContentStore.Unchecked, (provider, _) => open(provider))
        .AddSingleton(provider => ActivatorUtilities.CreateInstance<CheckedContentStore>(
            provider, provider.GetRequiredKeyedService<IContentStore>(CheckedContentStore.Unchecked)))
        .AddSingleton<IContentStore>(provider => provider.GetRequiredService<CheckedContentStore>());
}
