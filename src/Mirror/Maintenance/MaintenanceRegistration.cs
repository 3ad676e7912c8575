using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Sweeping;

namespace Mirror.Maintenance;

/// <summary>Wires the room <c>Maintenance</c>.</summary>
public static class MaintenanceRegistration
{
    /// <summary>Adds <see cref="Sweeper"/> and <see cref="Claims"/>, and what the configuration wants done by itself.</summary>
    public static IServiceCollection AddMaintenance(this IServiceCollection services, StorageOptions storage, ProxyOptions proxy)
    {
        services.AddSingleton(provider => new Sweeper(Bare(provider), provider.GetRequiredService<IReferenceStore>(), provider.GetRequiredService<ISweepableStore>()));
        services.AddSingleton<Claims>();
        if (storage.Maintenance.GarbageCollect.Enabled)
            services.AddHostedService(provider => ActivatorUtilities.CreateInstance<ScheduledSweeps>(provider, storage.Maintenance.GarbageCollect));
        if (proxy.MaxSize is not null && (proxy.RemoteUrl is not null || proxy.Upstreams.Length > 0))
            services.AddHostedService(provider => ActivatorUtilities.CreateInstance<Evictions>(
                provider, new Evictor(Bare(provider), provider.GetRequiredService<IReferenceStore>(), provider.GetRequiredService<ISweepableStore>())));
        return services;
    }

    private static IContentStore Bare(IServiceProvider provider) => provider.GetRequiredKeyedService<IContentStore>(StorageRegistration.Bare);
}
