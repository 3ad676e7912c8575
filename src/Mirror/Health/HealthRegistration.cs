using Microsoft.Extensions.Diagnostics.HealthChecks;
using Mirror.Configuration;

namespace Mirror.Health;

/// <summary>Wires the room <c>Health</c>.</summary>
public static class HealthRegistration
{
    private static readonly TimeSpan ShortestInterval = TimeSpan.FromSeconds(1);

    /// <summary>Adds <see cref="FailingChecks"/> and whatever checks are configured; nothing where none are.</summary>
    public static IServiceCollection AddHealth(this IServiceCollection services, HealthOptions health, StorageOptions storage)
    {
        List<HealthCheckRegistration> checks =
        [
            .. health.File.Select(file => Refusing(file.File, file, _ => new FileCheck(file))),
            .. health.Http.Select(http => Refusing(http.Uri!.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped), http, provider => ActivatorUtilities.CreateInstance<HttpCheck>(provider, http))),
            .. health.Tcp.Select(tcp => Refusing(tcp.Addr, tcp, provider => ActivatorUtilities.CreateInstance<TcpCheck>(provider, tcp))),
        ];
        if (health.StorageDriver is { Enabled: true } driver)
            checks.Add(Check(
                $"storagedriver_{(storage.S3 is null ? "filesystem" : "s3")}", driver, [], provider => ActivatorUtilities.CreateInstance<StorageCheck>(provider, driver)));
        if (checks.Count == 0)
            return services;

        services.AddHttpClient(HttpCheck.Client).ConfigureHttpClient(client => client.Timeout = Timeout.InfiniteTimeSpan).RemoveAllLoggers();
        services.AddHealthChecks();
        return services
            .AddSingleton<FailingChecks>()
            .AddSingleton<IHealthCheckPublisher>(provider => provider.GetRequiredService<FailingChecks>())
            .Configure<HealthCheckPublisherOptions>(publishing => publishing.Delay = TimeSpan.Zero)
            .Configure<HealthCheckServiceOptions>(service => checks.ForEach(service.Registrations.Add));
    }

    private static HealthCheckRegistration Refusing(string name, HealthCheckOptions options, Func<IServiceProvider, PatientCheck> create) =>
        Check(name, options, [FailingChecks.Refuses], create);

    private static HealthCheckRegistration Check(string name, HealthCheckOptions options, string[] tags, Func<IServiceProvider, PatientCheck> create)
    {
        // One for good, since it counts its failures; the framework would make one for each look.
        PatientCheck? made = null;
        return new HealthCheckRegistration(name, provider => made ??= create(provider), HealthStatus.Unhealthy, tags)
        {
            Period = options.Interval < ShortestInterval ? ShortestInterval : options.Interval,
        };
    }
}
