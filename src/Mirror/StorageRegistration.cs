using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.Files;
using Mirror.Storage.S3;
using Mirror.Storage.Sweeping;

namespace Mirror;

/// <summary>Wires the store that the configuration has chosen.</summary>
public static class StorageRegistration
{
    /// <summary>Adds the interfaces of a store. A bucket has no <see cref="ISweepableStore"/> yet.</summary>
    public static IServiceCollection AddStorage(this IServiceCollection services, StorageOptions storage) =>
        storage.S3 is { } s3 ? services.AddBucket(s3) : services.AddFiles(storage.Filesystem.RootDirectory);

    private static IServiceCollection AddFiles(this IServiceCollection services, string root) => services
        .AddSingleton(new FileContentStore(root))
        .AddGuarded(provider => provider.GetRequiredService<FileContentStore>())
        .AddSingleton<IReferenceStore>(new FileReferenceStore(root))
        .AddSingleton<IReferrerStore>(new FileReferrerStore(root))
        .AddSingleton<IUploadStore>(new FileUploadStore(root))
        .AddSingleton<ISweepableStore>(new FileSweepableStore(root));

    private static IServiceCollection AddBucket(this IServiceCollection services, S3Options options) => services
        .AddSingleton(provider => new S3Bucket(options, provider.GetRequiredService<TimeProvider>()))
        .AddSingleton<S3ContentStore>()
        .AddGuarded(provider => provider.GetRequiredService<S3ContentStore>())
        .AddSingleton<IReferenceStore, S3ReferenceStore>()
        .AddSingleton<IReferrerStore, S3ReferrerStore>()
        // A push on its way in belongs to the process that takes it, like a download.
        .AddSingleton<IUploadStore>(provider => new FileUploadStore(provider.GetRequiredService<S3ContentStore>().Scratch))
        .AddHostedService<BucketUpkeep>();

    private static IServiceCollection AddGuarded(this IServiceCollection services, Func<IServiceProvider, IContentStore> store) =>
        services.AddSingleton<IContentStore>(provider => ActivatorUtilities.CreateInstance<GuardedContentStore>(provider, store(provider)));
}
