using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.Notifications;

/// <summary>Wires the room <c>Notifications</c>.</summary>
public static class NotificationsRegistration
{
    /// <summary>Adds <see cref="RegistryEvents"/>, and the endpoints behind it where any are configured.</summary>
    public static IServiceCollection AddNotifications(this IServiceCollection services, MirrorOptions options)
    {
        var endpoints = options.Notifications.Endpoints.Where(endpoint => !endpoint.Disabled).ToArray();
        services.AddSingleton(provider => Array.ConvertAll(endpoints, endpoint => Create(provider, endpoint, options.Storage.LocalDirectory)));
        services.AddSingleton(provider => new RegistryEvents(
            provider.GetRequiredService<EventEndpoint[]>(), options, provider.GetRequiredService<Locations>(), provider.GetRequiredService<TimeProvider>()));
        if (endpoints.Length > 0)
            services.AddHostedService<EventDelivery>();
        return services;
    }

    private static EventEndpoint Create(IServiceProvider provider, NotificationEndpointOptions endpoint, string root)
    {
        // A name may hold anything; a folder's may not.
        var folder = Path.Combine(root, RegistryLayout.Notifications, Uri.EscapeDataString(endpoint.Name).Replace(".", "%2E", StringComparison.Ordinal));
        var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        return new EventEndpoint(
            endpoint, EventQueue.Open(folder), http, provider.GetRequiredService<RegistryMetrics>(), provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<RegistryEvents>>());
    }
}
