using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Repositories;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.Maintenance;

/// <summary>Registers the services of Maintenance.</summary>
public static class MaintenanceRegistration
{
    /// <summary>
    /// Adds <see cref="Sweeper"/>, <see cref="PushProtection"/>, and the background services that the configuration asks for.
    /// </summary>
    public static IServiceCollection AddMaintenance(this IServiceCollection services, StorageOptions storage, ProxyOptions proxy)
    {
        services.AddSingleton(CreateSweeper);
        services.AddSingleton<PushProtection>();
        services.AddSingleton<FrozenCopies>();
        if (proxy.HasUpstream)
            services.AddHostedService(provider => ActivatorUtilities.CreateInstance<OrphanReports>(
                provider, FormerUpstreams(provider, provider.GetRequiredService<UpstreamSelector>().Names),
                new Orphans(References(provider), SweepStore(provider), Provenance(provider))));
        services.AddHostedService<UploadPurging>();
        services.AddHostedService<InterruptedTransfers>();
        if (storage.Maintenance.GarbageCollect.Enabled)
            services.AddHostedService(provider =>
                ActivatorUtilities.CreateInstance<ScheduledSweeps>(provider, storage.Maintenance.GarbageCollect));
        services.AddSingleton<UnmarkedContent>();
        services.AddSingleton(CreateEvictor);
        services.AddSingleton<RemovedManifests>();
        if (proxy.HasUpstream)
            services.AddHostedService<Evictions>();
        return services;
    }

    /// <summary>A sweeper of the stores in a container.</summary>
    public static Sweeper CreateSweeper(IServiceProvider stores) =>
        new(Unchecked(stores), References(stores), SweepStore(stores), Provenance(stores));

    /// <summary>The upstreams that the store in a container has had.</summary>
    public static FormerUpstreams FormerUpstreams(IServiceProvider stores, UpstreamNames names) =>
        new(stores.GetRequiredService<IDateStore>(), names, stores.GetRequiredService<TimeProvider>());

    private static Evictor CreateEvictor(IServiceProvider provider) =>
        new(Unchecked(provider), References(provider), SweepStore(provider), Provenance(provider), new EvictorOptions
        {
            Pins = provider.GetRequiredService<IPinStore>(),
            IsPinnedByPolicy = name => provider.GetRequiredService<CachePolicies>().Of(name).IsPinned,
            Uses = provider.GetService<IImageUses>(),
            Notes = provider.GetService<IManifestNotes>(),
            RecentlyRead = () => provider.GetRequiredService<CacheSize>().RecentlyRead(),
            LockOutReadersAsync = digests => provider.GetRequiredService<CacheSize>().TryLockOutReadersAsync(digests),
            OnFreed = (blobs, bytes) =>
            {
                provider.GetRequiredService<CacheSize>().Evicted(bytes);
                provider.GetRequiredService<StoreMetrics>().Evicted(blobs, bytes);
            },
            RemoveManifestAsync = async (name, manifest, stop) =>
                await provider.GetRequiredService<RepositoryResolver>()[name].DeleteManifestAsync(manifest, condition: null, stop),
        });

    private static IContentStore Unchecked(IServiceProvider provider) =>
        provider.GetRequiredKeyedService<IContentStore>(CheckedContentStore.Unchecked);

    private static IReferenceStore References(IServiceProvider provider) => provider.GetRequiredService<IReferenceStore>();

    private static IProvenanceStore Provenance(IServiceProvider provider) => provider.GetRequiredService<IProvenanceStore>();

    private static ISweepStore SweepStore(IServiceProvider provider) => provider.GetRequiredService<ISweepStore>();
}
