using Mirror.Configuration.Old;
using Mirror.Limits;

namespace Mirror.Registry;

/// <summary>Registers the <c>Registry</c> services.</summary>
public static class RegistryRegistration
{
    /// <param name="old">The file of docker-registry 0.x, where it is one.</param>
    public static IServiceCollection AddRegistry(this IServiceCollection services, OldConfiguration? old = null) =>
        (old is null ? services : services.AddSingleton(old))
        .AddSingleton<Locations>()
        .AddSingleton<TrustedProxies>()
        .AddSingleton<Cors>()
        .AddSingleton<PrivateReads>()
        .AddSingleton<ManifestRules>()
        .AddSingleton<Schema1Requests>()
        .AddSingleton<RepositoryClasses>()
        .AddSingleton<RepositoryWalks>()
        .AddSingleton<Mounts>()
        .AddSingleton<DocumentMemory>()
        .AddSingleton(_ => new Transfers(OpenFiles.MaxTransfers))
        .AddSingleton<RequestBody>()
        .AddSingleton<UploadQuotas>()
        .AddSingleton<Uploads>()
        .AddSingleton<UploadForwarding>()
        .AddSingleton<UploadRoute>()
        .AddSingleton<WaitingClients>()
        .AddSingleton<BlobRoute>()
        .AddSingleton<ManifestRoute>()
        .AddSingleton<TagsRoute>()
        .AddSingleton<ReferrersRoute>()
        .AddSingleton<CatalogRoute>()
        .AddSingleton<TokenRoute>()
        .AddSingleton<V1Route>()
        .AddSingleton<RegistryRoutes>()
        .AddSingleton<ErrorAnswers>()
        .AddSingleton<RequestRecord>()
        .AddSingleton<AuditRecord>()
        .AddSingleton<ClientsSeen>()
        .AddSingleton<RegistryPipeline>();
}
