using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>Wires the rooms <c>PullThrough</c> and <c>Upstream</c>.</summary>
public static class MirroringRegistration
{
    /// <summary>Adds <see cref="Repositories"/>, and the upstream behind them where one is configured.</summary>
    public static IServiceCollection AddRepositories(this IServiceCollection services, ProxyOptions proxy)
    {
        services.AddSingleton<Manifests>();
        services.AddSingleton(provider => new Repositories(
            provider.GetRequiredService<HostedOptions>(), provider.GetRequiredService<IContentStore>(), provider.GetRequiredService<IReferenceStore>(),
            provider.GetRequiredService<Manifests>(), provider.GetService<Mirroring>()));
        if (proxy.RemoteUrl is not { } remoteUrl)
            return services;

        services.AddSingleton(new UpstreamOrigin(remoteUrl));
        services.AddSingleton<CredentialSource>();
        services.AddSingleton<TagChecks>();
        services.AddSingleton<PendingTags>();
        services.AddSingleton<FillContext>();
        services.AddSingleton<Fills>();
        services.AddSingleton<MirroredBlobs>();
        services.AddSingleton<MirroredManifests>();
        services.AddSingleton<Mirroring>();
        services.AddSingleton(provider => new TokenSource(
            provider.GetRequiredService<UpstreamOrigin>(), provider.GetRequiredService<CredentialSource>(), Client(provider, "token"), provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton(provider => new UpstreamClient(
            provider.GetRequiredService<UpstreamOrigin>(), Client(provider, "registry"), provider.GetRequiredService<RegistryMetrics>(), provider.GetRequiredService<TimeProvider>()));

        // Outermost first. Each client lives as long as the server; connections are renewed by the innermost handler.
        AddClient(services, "token");
        AddClient(services, "registry").ConfigureAdditionalHttpMessageHandlers((handlers, provider) =>
        {
            handlers.Insert(0, new AuthorizationHandler(
                provider.GetRequiredService<UpstreamOrigin>(), provider.GetRequiredService<TokenSource>(), provider.GetRequiredService<CredentialSource>()));
            handlers.Insert(1, new RedirectHandler(provider.GetRequiredService<UpstreamOrigin>()));
        });
        return services;
    }

    private static IHttpClientBuilder AddClient(IServiceCollection services, string name) => services.AddHttpClient(name)
        .ConfigureHttpClient(http => http.Timeout = Timeout.InfiniteTimeSpan)
        .ConfigurePrimaryHttpMessageHandler(provider => UpstreamConnections.Create(provider.GetRequiredService<UpstreamOrigin>()))
        .SetHandlerLifetime(Timeout.InfiniteTimeSpan)
        .RemoveAllLoggers()
        .AddHttpMessageHandler(provider => new ResilienceHandler(provider.GetRequiredService<TimeProvider>()))
        .AddHttpMessageHandler(provider => new MeteringHandler(
            provider.GetRequiredService<RegistryMetrics>(), provider.GetRequiredService<UpstreamOrigin>(), provider.GetRequiredService<TimeProvider>()));

    private static HttpClient Client(IServiceProvider provider, string name) => provider.GetRequiredService<IHttpClientFactory>().CreateClient(name);
}
