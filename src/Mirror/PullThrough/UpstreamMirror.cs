using Mirror.Configuration;
using Mirror.PullThrough.Fills;
using Mirror.Repositories;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>The parts that the repositories of one upstream share. They live as long as the server.</summary>
public sealed record UpstreamMirror(
    UpstreamClient Upstream, MirroredManifests Manifests, MirroredBlobs Blobs, ImageCompletion Completion, MirroredTagLists TagLists,
    MirroredReferrers Referrers, TagFreshness Freshness, RepositoryDeletions Deletions, OutageRetry OutageRetry, CachePolicies Policies,
    MissNotes Notes, PrivateRepositories? Privates)
{
    /// <summary>
    /// Builds an upstream with all its parts. Each part that knows the upstream's address, accounts or answers is created here, and gets
    /// the others as arguments. So no name and no key of the dependency container decides which upstream gets which credentials.
    /// </summary>
    /// <param name="client">A client from <see cref="UpstreamHandlers.Add"/> for requests to this upstream's registry.</param>
    /// <param name="tokenClient">A client from <see cref="UpstreamHandlers.Add"/> for requests to this upstream's token service.</param>
    internal static UpstreamMirror Create(
        IServiceProvider services, UpstreamOptions options, UpstreamOrigin origin, string client, string tokenClient)
    {
        var handlers = services.GetRequiredService<IHttpMessageHandlerFactory>();
        var accounts = Make<Accounts>(options, origin);
        services.GetRequiredService<UpstreamMetrics>().ObserveRateLimits(
            origin.Label, () => accounts.All.Select(account => (account.Index, account.Limit, account.Remaining)));
        var tokens = Make<TokenSource>(origin, Http(handlers.CreateHandler(tokenClient)));
        var redirects = new RedirectHandler(origin) { InnerHandler = handlers.CreateHandler(client) };
        var authorization = Make<AuthorizationHandler>(origin, tokens);
        authorization.InnerHandler = new AnonymousTokenHandler(origin, tokens, services.GetRequiredService<TimeProvider>())
        {
            InnerHandler = redirects,
        };
        var state = services.GetRequiredKeyedService<UpstreamState>(origin);
        var http = Http(authorization);
        var check = Make<RegistryCheck>(origin, state, http);
        var upstream = Make<UpstreamClient>(origin, accounts, Make<Refusals>(), state, http, check);
        var deadlines = Make<UpstreamDeadlines>();
        var retry = Make<OutageRetry>(origin);
        var blobs = Make<MirroredBlobs>(Make<FillSource>(upstream, options.ParallelRanges, retry), deadlines);
        var completion = Make<ImageCompletion>(blobs, upstream);
        var manifests = Make<MirroredManifests>(upstream, completion, deadlines);
        return new UpstreamMirror(
            upstream,
            manifests,
            blobs,
            completion,
            // A slow list says nothing about tags.
            Make<MirroredTagLists>(upstream, Make<UpstreamDeadlines>()),
            Make<MirroredReferrers>(upstream, manifests, Make<UpstreamDeadlines>()),
            services.GetRequiredService<TagFreshness>(),
            services.GetRequiredService<RepositoryDeletions>(),
            retry,
            services.GetRequiredService<CachePolicies>(),
            services.GetRequiredService<MissNotes>(),
            options.Private is PrivateImages.Account ? null
                : new PrivateRepositories(
                    origin, options.Private, Make<AccessProbe>(origin, http, check), deadlines, services.GetRequiredService<LiveOptions>(),
                    services.GetRequiredService<TimeProvider>()));

        // From the given parts, and from services that all upstreams share.
        T Make<T>(params object[] parts) => ActivatorUtilities.CreateInstance<T>(services, parts);

        static HttpClient Http(HttpMessageHandler handler)
        {
            var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
            http.DefaultRequestHeaders.UserAgent.Add(UpstreamRequest.Agent);
            return http;
        }
    }
}
