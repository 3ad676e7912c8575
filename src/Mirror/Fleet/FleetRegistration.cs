using Mirror.Configuration;

namespace Mirror.Fleet;

/// <summary>Wires the room <c>Fleet</c>.</summary>
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
            .AddSingleton<FleetSecret>()
            .AddSingleton<FleetCache>()
            .AddSingleton<Announcements>()
            .AddHostedService(provider => provider.GetRequiredService<Announcements>());
    }
}
