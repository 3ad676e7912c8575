
namespace Mirror.Registry;

/// <summary>Wires the room <c>Registry</c>.</summary>
public static class RegistryRegistration
{
    public static IServiceCollection AddRegistry(this IServiceCollection services) => services
        .AddSingleton<Locations>()
        .AddSingleton<ManifestRules>()
        .AddSingleton<Mounts>()
        .AddSingleton<Uploads>()
        .AddSingleton<UploadRoute>()
        .AddSingleton<RegistryRoutes>()
        .AddSingleton<RegistryPipeline>();
}
