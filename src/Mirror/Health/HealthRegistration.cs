using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Health;

/// <summary>Registers the services of Health.</summary>
public static class HealthRegistration
{
    /// <summary>Adds <see cref="Readiness"/>, and <see cref="HealthChecks"/> if any are configured.</summary>
    public static IServiceCollection AddHealth(this IServiceCollection services, HealthOptions health)
    {
        services.AddSingleton<Readiness>();
        services.AddSingleton<StoreWrites>();
        services.AddHostedService(provider => provider.GetRequiredService<StoreWrites>());
        if (health is { StorageDriver.Enabled: false, File: [], Http: [], Tcp: [] })
            return services;
        services.AddHttpClient(HttpCheck.Client)
            .ConfigureHttpClient(http => http.Timeout = Timeout.InfiniteTimeSpan)
            .ConfigurePrimaryHttpMessageHandler(() => new ProxyLogin(new SocketsHttpHandler
            {
                AllowAutoRedirect = false,
                UseCookies = false,
                ConnectCallback = HappyEyeballs.ConnectAsync,
            }))
            .RemoveAllLoggers();
        return services
            .AddSingleton(provider => new HealthChecks(
                [
                    .. health.StorageDriver.Enabled
                        ? [ActivatorUtilities.CreateInstance<StorageCheck>(provider, health.StorageDriver)]
                        : Array.Empty<HealthCheck>(),
                    .. health.File.Select(file => new FileCheck(file)),
                    .. health.Http.Select(http => ActivatorUtilities.CreateInstance<HttpCheck>(provider, http)),
                    .. health.Tcp.Select(tcp => new TcpCheck(tcp)),
                ],
                provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<HealthChecks>>()))
            .AddHostedService(provider => provider.GetRequiredService<HealthChecks>());
    }
}
