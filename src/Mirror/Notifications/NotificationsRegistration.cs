using System.Security.Cryptography;
using System.Text;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.Notifications;

/// <summary>Registers the <c>Notifications</c> services.</summary>
public static partial class NotificationsRegistration
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
            ConnectCallback = HappyEyeballs.ConnectAsync,
        };
        var log = provider.GetRequiredService<ILogger<RegistryEvents>>();
        return new EventEndpoint(
            endpoint, Open(root, name, endpoint.Name, log),
            new HttpClient(new ProxyLogin(handler)) { Timeout = Timeout.InfiniteTimeSpan },
            provider.GetRequiredService<NotificationMetrics>(), provider.GetRequiredService<TimeProvider>(), log);
    }

    /// <summary>The queue in a folder of the storage. If nothing can be written there, as on a read-only volume, it is in the temporary
    /// folder: pulls have events too.</summary>
    private static EventQueue Open(string root, string name, string endpoint, ILogger log)
    {
        var folder = Path.Combine(root, RegistryLayout.Notifications, name);
        try
        {
            return EventQueue.Open(folder);
        }
        catch (Exception failure) when (failure is IOException { IsReadOnly: true } or UnauthorizedAccessException)
        {
            // Another storage has its own queue, although its endpoint may have the same name.
            var storage = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(root))));
            var temporary = Path.Combine(Path.GetTempPath(), "mirror-notifications", storage, name);
            LogTemporary(log, endpoint, temporary, folder, failure.Reason);
            return EventQueue.Open(temporary);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "events for endpoint {Endpoint} wait in {Temporary}, because {Folder} cannot be written: {Reason}. "
        + "Events that wait there are lost if the folder is deleted, for example by a restart of the machine")]
    private static partial void LogTemporary(ILogger log, string endpoint, string temporary, string folder, string reason);
}
