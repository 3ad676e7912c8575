using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Sweeping;

namespace Mirror.Maintenance;

/// <summary>Wires the room <c>Maintenance</c>.</summary>
public static class MaintenanceRegistration
{
    /// <summary>Adds <see cref="Sweeper"/> and <see cref="Claims"/>, and the schedule where one is configured.</summary>
    public static IServiceCollection AddMaintenance(this IServiceCollection services, StorageOptions storage)
    {
        services.AddSingleton(provider => new Sweeper(
            provider.GetRequiredKeyedService<IContentStore>(StorageRegistration.Bare), provider.GetRequiredService<IReferenceStore>(), provider.GetRequiredService<ISweepableStore>()));
        services.AddSingleton<Claims>();
        if (storage.Maintenance.GarbageCollect.Enabled)
            services.AddHostedService(provider => new ScheduledSweeps(
                provider.GetRequiredService<Sweeper>(), storage.Maintenance.GarbageCollect, provider.GetRequiredService<TimeProvider>(),
                provider.GetRequiredService<ILogger<ScheduledSweeps>>()));
        return services;
    }
}
