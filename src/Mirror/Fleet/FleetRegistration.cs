using Mirror.Configuration;

namespace Mirror.Fleet;

/// <summary>Wires the room <c>Fleet</c>.</summary>
public static class FleetRegistration
{
    public static IServiceCollection AddFleet(this IServiceCollection services, MirrorOptions options)
    {
        if (options.SharesByRedis())
            services.AddSingleton<RedisServer>().AddSingleton<SharedMemory>();
        services.AddHttpForwarder();
        return services
            .AddSingleton<Replica>()
            .AddSingleton<FillLeases>()
            .AddSingleton<UploadHolders>()
            .AddHostedService<Leaving>()
            .AddSingleton<ReplicaConnections>()
            .AddSingleton<ReplicaBlobs>()
            .AddSingleton<Forwarding>()
            .AddSingleton<FleetSecret>()
            .AddSingleton<SharedFacts>()
            .AddSingleton<Announcements>()
            .AddHostedService(provider => provider.GetRequiredService<Announcements>());
    }
}
