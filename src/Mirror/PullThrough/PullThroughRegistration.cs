using Mirror.Configuration;
using Mirror.Limits;
using Mirror.PullThrough.Fills;
using Mirror.Repositories;
using Mirror.Schema1;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>Registers the services of <c>Repositories</c>, <c>PullThrough</c> and <c>Upstream</c>.</summary>
public static class PullThroughRegistration
{
    /// <summary>Adds <see cref="RepositoryResolver"/> and the configured upstreams.</summary>
    /// <exception cref="IOException">A file of <c>proxy.tls</c> cannot be read.</exception>
    public static IServiceCollection AddRepositories(this IServiceCollection services, ProxyOptions proxy)
    {
        services.AddSingleton<SigningKey>();
        services.AddSingleton<Schema1Manifests>();
        services.AddSingleton<ManifestCache>();
        services.AddSingleton<KnownBlobs>();
        services.AddSingleton<RepositoryLocks>();
        services.AddSingleton<RepositoryDeletions>();
        services.AddSingleton<Referrers>();
        services.AddSingleton<RepositoryNames>();
        services.AddSingleton<HostedStores>();
        services.AddSingleton<TagFreshness>();
        services.AddSingleton<HostedNames>();
        services.AddSingleton<PushQuota>();
        services.AddSingleton<CachePolicies>();
        services.AddSingleton<MirroredTags>();
        services.AddSingleton<HeldTags>();
        services.AddSingleton<RequestHistory>();
        services.AddSingleton<MissNotes>();
        services.AddSingleton<CacheSize>();
        services.AddSingleton<CopyEvidence>();
        services.AddSingleton(services => new FillShares(proxy.AllUpstreams().Count, services.GetRequiredService<ClientConnections>()));
        services.AddSingleton<RunningFills>();
        services.AddSingleton<RepositoryResolver>();

        List<Func<IServiceProvider, UpstreamMirror>> upstreams = [];
        foreach (var (i, (options, pathName)) in proxy.AllUpstreams().Index())
        {
            var origin = new UpstreamOrigin(options, pathName) { Hold = proxy.Hold };
            // By number: no two upstreams can have one chain of handlers, whatever they are called.
            var (registry, token) = ($"registry of upstream {i}", $"token service of upstream {i}");
            var tls = new UpstreamTls(options.Tls);
            services.AddKeyedSingleton(
                origin, (provider, key) => ActivatorUtilities.CreateInstance<UpstreamState>(provider, (UpstreamOrigin)key!));
            UpstreamHandlers.Add(services, registry, origin, tls);
            UpstreamHandlers.Add(services, token, origin, tls);
            upstreams.Add(provider =>
            {
                tls.ReportTo(provider.GetRequiredService<ILogger<UpstreamTls>>());
                return UpstreamMirror.Create(provider, options, origin, registry, token);
            });
        }
        return services.AddSingleton(provider => new UpstreamSelector([.. upstreams.Select(create => create(provider))], proxy.AnyNs));
    }
}
