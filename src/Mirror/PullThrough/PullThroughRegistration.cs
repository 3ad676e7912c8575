using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.PullThrough.Fills;
using Mirror.Repositories;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>Wires the rooms <c>PullThrough</c> and <c>Upstream</c>.</summary>
public static class PullThroughRegistration
{
    /// <summary>Adds <see cref="RepositoryResolver"/>, and the upstreams behind them where any are configured.</summary>
    public static IServiceCollection AddRepositories(this IServiceCollection services, ProxyOptions proxy)
    {
        services.AddSingleton<ManifestCache>();
        services.AddSingleton<RepositoryLocks>();
        services.AddSingleton<RepositoryDeletions>();
        services.AddSingleton<Referrers>();
        services.AddSingleton<HostedStores>();
        services.AddSingleton<TagFreshness>();
        services.AddSingleton<HostedNames>();
        services.AddSingleton<CachePolicies>();
        services.AddSingleton<MirroredTags>();
        services.AddSingleton<ExpectedSizes>();
        services.AddSingleton<CacheSize>();
        services.AddSingleton<RunningFills>();
        services.AddSingleton<RepositoryResolver>();

        List<Func<IServiceProvider, UpstreamMirror>> upstreams = [];
        if (proxy.RemoteUrl is not null)
            upstreams.Add(AddUpstream(services, proxy, new UpstreamOrigin(proxy, prefix: "") { Hold = proxy.Hold }));
        foreach (var further in proxy.Upstreams)
            upstreams.Add(AddUpstream(services, further, new UpstreamOrigin(further, prefix: $"{further.Name ?? further.RemoteUrl!.Host}/") { Hold = proxy.Hold }));
        services.AddSingleton(provider => new UpstreamSelector([.. upstreams.Select(upstream => upstream(provider))]));
        return services;
    }

    private static Func<IServiceProvider, UpstreamMirror> AddUpstream(IServiceCollection services, UpstreamOptions options, UpstreamOrigin origin)
    {
        var (registry, token) = ($"registry {origin.Name}", $"token {origin.Name}");
        var tls = new UpstreamTls(options.Tls);
        services.AddKeyedSingleton(origin.Name, (provider, _) => new Accounts(options, provider.GetRequiredService<TimeProvider>()));
        services.AddKeyedSingleton(origin.Name, (provider, _) =>
            new TokenSource(origin, provider.GetRequiredService<IHttpClientFactory>().CreateClient(token), provider.GetRequiredService<FleetCache>(), provider.GetRequiredService<TimeProvider>()));

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
            var source = new FillSource(
                client, options.ParallelRanges, provider.GetRequiredService<ExpectedSizes>(), provider.GetRequiredService<ReplicaBlobs>(), time);
            var deadlines = ActivatorUtilities.CreateInstance<UpstreamDeadlines>(provider);
            var manifests = ActivatorUtilities.CreateInstance<MirroredManifests>(provider, client, deadlines);
            return new UpstreamMirror(
                client,
                manifests,
                ActivatorUtilities.CreateInstance<MirroredBlobs>(provider, source, deadlines),
                ActivatorUtilities.CreateInstance<MirroredReferrers>(provider, client, manifests),
                provider.GetRequiredService<TagFreshness>(),
                provider.GetRequiredService<RepositoryDeletions>(),
                references,
                ActivatorUtilities.CreateInstance<OutageRetry>(provider, origin));
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
