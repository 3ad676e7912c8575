using Mirror.Limits;

namespace Mirror.Registry;

/// <summary>Registers the <c>Registry</c> services.</summary>
public static class RegistryRegistration
{
    public static IServiceCollection AddRegistry(this IServiceCollection services) => services
        .AddSingleton<Locations>()
        .AddSingleton<TrustedProxies>()
        .AddSingleton<ManifestRules>()
        .AddSingleton<RepositoryClasses>()
        .AddSingleton<RepositoryWalks>()
        .AddSingleton<Mounts>()
        .AddSingleton<DocumentMemory>()
        .AddSingleton<Transfers>()
        .AddSingleton<RequestBody>()
        .AddSingleton<Uploads>()
        .AddSingleton<UploadForwarding>()
        .AddSingleton<UploadRoute>()
        .AddSingleton<BlobRoute>()
        .AddSingleton<ManifestRoute>()
        .AddSingleton<TagsRoute>()
        .AddSingleton<ReferrersRoute>()
        .AddSingleton<CatalogRoute>()
        .AddSingleton<TokenRoute>()
        .AddSingleton<RegistryRoutes>()
        .AddSingleton<ErrorAnswers>()
        .AddSingleton<RequestRecord>()
        .AddSingleton<AuditRecord>()
        .AddSingleton<RegistryPipeline>();
}
