using Mirror.Configuration;

namespace Mirror.Fleet;

/// <summary>Registers the Fleet services.</summary>
public static class FleetRegistration
{
    public static IServiceCollection AddFleet(this IServiceCollection services, MirrorOptions options)
    {
        if (options.SharesByRedis())
            services.AddSingleton<RedisClient>().AddSingleton<RedisGuard>();
        services.AddHttpForwarder();
        return services
            .AddSingleton<Replica>()
            .AddSingleton<FillLeases>()
            .AddSingleton<UploadOwners>()
            .AddHostedService<ShutdownDelay>()
            .AddSingleton<ReplicaConnections>()
            .AddSingleton<ReplicaBlobs>()
            .AddSingleton<Forwarding>()
            .AddSingleton<FleetIdentity>()
            .AddSingleton<FleetKeys>()
            .AddSingleton<RedisKeys>()
            .AddSingleton<ReplicaSignature>()
            .AddSingleton(provider => new SealedText(provider.GetRequiredService<FleetKeys>().For("seals")))
            .AddSingleton<FleetCache>()
            .AddSingleton<CacheUsage>()
            .AddSingleton<FleetMembers>()
            .AddHostedService(provider => provider.GetRequiredService<FleetMembers>())
            .AddSingleton<Announcements>()
            .AddHostedService(provider => provider.GetRequiredService<Announcements>());
    }
}
