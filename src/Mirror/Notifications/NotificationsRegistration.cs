using Mirror.Configuration;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.Notifications;

/// <summary>Registers the <c>Notifications</c> services.</summary>
public static class NotificationsRegistration
{
    /// <summary>Adds <see cref="RegistryEvents"/>, and the endpoints that are configured and not disabled.</summary>
    public static IServiceCollection AddNotifications(this IServiceCollection services, MirrorOptions options)
    {
        var endpoints = options.Notifications.Endpoints.Where(endpoint => !endpoint.Disabled).ToArray();
        var root = options.Storage.LocalDirectory;
        services.AddSingleton(provider => Array.ConvertAll(endpoints, endpoint => Create(provider, endpoint, root)));
        services.AddSingleton(provider => new RegistryEvents(
            provider.GetRequiredService<EventEndpoint[]>(), options, provider.GetRequiredService<TimeProvider>()));
        if (endpoints.Length > 0)
            services.AddHostedService<EventDelivery>();
        return services;
    }

    private static EventEndpoint Create(IServiceProvider provider, NotificationEndpointOptions endpoint, string root)
    {
        // An endpoint's name may contain any character; the name of a folder may not.
        var name = Uri.EscapeDataString(endpoint.Name).Replace(".", "%2E", StringComparison.Ordinal);
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        };
        return new EventEndpoint(
            endpoint, EventQueue.Open(Path.Combine(root, RegistryLayout.Notifications, name)),
            new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan },
            provider.GetRequiredService<NotificationMetrics>(), provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<RegistryEvents>>());
    }
}
