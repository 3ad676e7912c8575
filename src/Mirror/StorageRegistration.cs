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
    /// <summary>
    /// The key of the <see cref="IContentStore"/> itself, for those whom the server's own, which hides damaged content, would mislead: to a sweep
    /// a damaged manifest would look like one that refers to nothing, and verification would find nothing.
    /// </summary>
    public const string Bare = "bare";

    /// <summary>Adds the interfaces of a store, and keyed with <see cref="Bare"/> its content as it is.</summary>
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
        .AddContent(_ => new FileContentStore(root))
        .AddSingleton<IReferenceStore>(new FileReferenceStore(root))
        .AddSingleton<IReferrerStore>(new FileReferrerStore(root))
        .AddSingleton<IUploadStore>(new FileUploadStore(root))
        .AddSingleton<ISweepableStore>(new FileSweepableStore(root));

    private static IServiceCollection AddBucket(this IServiceCollection services, S3Options options) => services
        .AddSingleton(provider => new S3Bucket(options, provider.GetRequiredService<TimeProvider>()))
        .AddSingleton<S3ContentStore>()
        .AddContent(provider => provider.GetRequiredService<S3ContentStore>())
        .AddSingleton<IReferenceStore>(provider => provider.GetRequiredService<S3Bucket>() is var bucket && options.LocalCache.Path is { } local
            ? new RememberingReferenceStore(new S3ReferenceStore(bucket), new FileReferenceStore(Path.Combine(local, "seen")))
            : new S3ReferenceStore(bucket))
        .AddSingleton<IReferrerStore, S3ReferrerStore>()
        // A push on its way in belongs to the process that takes it, like a download.
        .AddSingleton<IUploadStore>(new FileUploadStore(options.Scratch))
        .AddSingleton<ISweepableStore, S3SweepableStore>()
        .AddHostedService<BucketUpkeep>();

    private static IServiceCollection AddContent(this IServiceCollection services, Func<IServiceProvider, IContentStore> store) => services
        .AddKeyedSingleton(Bare, (provider, _) => store(provider))
        .AddSingleton<IContentStore>(provider => ActivatorUtilities.CreateInstance<GuardedContentStore>(provider, provider.GetRequiredKeyedService<IContentStore>(Bare)));
}
