using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;

namespace Mirror.Maintenance;

/// <summary>Wires the room <c>Maintenance</c>.</summary>
public static class MaintenanceRegistration
{
    /// <summary>Adds <see cref="Sweeper"/> and <see cref="PushProtection"/>, and what the configuration wants done by itself.</summary>
    public static IServiceCollection AddMaintenance(this IServiceCollection services, StorageOptions storage, ProxyOptions proxy)
    {
        services.AddSingleton(provider => new Sweeper(Unchecked(provider), provider.GetRequiredService<IReferenceStore>(), provider.GetRequiredService<ISweepStore>()));
        services.AddSingleton<PushProtection>();
        services.AddHostedService<UploadPurging>();
        if (storage.Maintenance.GarbageCollect.Enabled)
            services.AddHostedService(provider => ActivatorUtilities.CreateInstance<ScheduledSweeps>(provider, storage.Maintenance.GarbageCollect));
        if (proxy.MaxSize is not null && (proxy.RemoteUrl is not null || proxy.Upstreams.Length > 0))
            services.AddHostedService(provider => ActivatorUtilities.CreateInstance<Evictions>(
                provider, new Evictor(Unchecked(provider), provider.GetRequiredService<IReferenceStore>(), provider.GetRequiredService<ISweepStore>())));
        return services;
    }

    private static IContentStore Unchecked(IServiceProvider provider) => provider.GetRequiredKeyedService<IContentStore>(CheckedContentStore.Unchecked);
}
