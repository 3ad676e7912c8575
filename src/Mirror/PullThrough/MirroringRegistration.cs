using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>Wires the rooms <c>PullThrough</c> and <c>Upstream</c>.</summary>
public static class MirroringRegistration
{
    /// <summary>Adds <see cref="Repositories"/>, and the upstreams behind them where any are configured.</summary>
    public static IServiceCollection AddRepositories(this IServiceCollection services, ProxyOptions proxy)
    {
        services.AddSingleton<Manifests>();
        services.AddSingleton<RepositoryLocks>();
        services.AddSingleton<Removals>();
        services.AddSingleton<Referrers>();
        services.AddSingleton<Hosting>();
        services.AddSingleton<TagChecks>();
        services.AddSingleton<PendingTags>();
        services.AddSingleton<MirroredTags>();
        services.AddSingleton<DescriptorSizes>();
        services.AddSingleton<CacheSize>();
        services.AddSingleton<Fills>();
        services.AddSingleton<Repositories>();

        List<Func<IServiceProvider, Mirroring>> upstreams = [];
        if (proxy.RemoteUrl is not null)
            upstreams.Add(AddUpstream(services, proxy, new UpstreamOrigin(proxy, prefix: "") { Hold = proxy.Hold }));
        foreach (var further in proxy.Upstreams)
            upstreams.Add(AddUpstream(services, further, new UpstreamOrigin(further, prefix: $"{further.Name ?? further.RemoteUrl!.Host}/") { Hold = proxy.Hold }));
        services.AddSingleton(provider => new Upstreams([.. upstreams.Select(upstream => upstream(provider))]));
        return services;
    }

    private static Func<IServiceProvider, Mirroring> AddUpstream(IServiceCollection services, UpstreamOptions options, UpstreamOrigin origin)
    {
        var (registry, token) = ($"registry {origin.Name}", $"token {origin.Name}");
        var tls = new UpstreamTls(options.Tls);
        services.AddKeyedSingleton(origin.Name, (provider, _) => new Accounts(options, provider.GetRequiredService<TimeProvider>()));
        services.AddKeyedSingleton(origin.Name, (provider, _) =>
            new TokenSource(origin, provider.GetRequiredService<IHttpClientFactory>().CreateClient(token), provider.GetRequiredService<SharedFacts>(), provider.GetRequiredService<TimeProvider>()));

        // Outermost first. Each client lives as long as the server; connections are renewed by the innermost handler.
        AddClient(services, token, origin, tls);
        AddClient(services, registry, origin, tls).ConfigureAdditionalHttpMessageHandlers((handlers, provider) =>
        {
            handlers.Insert(0, new AuthorizationHandler(origin, provider.GetRequiredKeyedService<TokenSource>(origin.Name)));
            handlers.Insert(1, new RedirectHandler(origin));
        });

        return provider =>
        {
            var time = provider.GetRequiredService<TimeProvider>();
            var metrics = provider.GetRequiredService<RegistryMetrics>();
            var references = provider.GetRequiredService<IReferenceStore>();
            var client = new UpstreamClient(
                origin, provider.GetRequiredKeyedService<Accounts>(origin.Name), provider.GetRequiredService<IHttpClientFactory>().CreateClient(registry), metrics, time);
            var context = new FillContext(
                client, options.ParallelRanges, provider.GetRequiredService<IContentStore>(), references, provider.GetRequiredService<CacheSize>(),
                provider.GetRequiredService<DescriptorSizes>(), provider.GetRequiredService<FillLeases>(), provider.GetRequiredService<ReplicaBlobs>(), metrics, time, provider.GetRequiredService<ILogger<Fill>>());
            var patience = ActivatorUtilities.CreateInstance<Patience>(provider);
            var manifests = ActivatorUtilities.CreateInstance<MirroredManifests>(provider, client, patience);
            return new Mirroring(
                client,
                manifests,
                ActivatorUtilities.CreateInstance<MirroredBlobs>(provider, context, patience),
                ActivatorUtilities.CreateInstance<MirroredReferrers>(provider, client, manifests),
                provider.GetRequiredService<TagChecks>(),
                provider.GetRequiredService<Removals>(),
                references,
                ActivatorUtilities.CreateInstance<Hold>(provider, origin));
        };
    }

    private static IHttpClientBuilder AddClient(IServiceCollection services, string name, UpstreamOrigin origin, UpstreamTls tls) => services.AddHttpClient(name)
        .ConfigureHttpClient(http => http.Timeout = Timeout.InfiniteTimeSpan)
        .ConfigurePrimaryHttpMessageHandler(() => UpstreamConnections.Create(origin, tls))
        .SetHandlerLifetime(Timeout.InfiniteTimeSpan)
        .RemoveAllLoggers()
        .AddHttpMessageHandler(provider => new ResilienceHandler(origin, provider.GetRequiredService<RegistryMetrics>(), provider.GetRequiredService<TimeProvider>()))
        .AddHttpMessageHandler(provider => new MeteringHandler(provider.GetRequiredService<RegistryMetrics>(), origin, provider.GetRequiredService<TimeProvider>()));
}
