using Mirror.Configuration;
using Mirror.Health;
using Mirror.Storage.Files;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;

namespace Mirror.Admin;

/// <summary>Registers the services of <c>Admin</c>, and its routes.</summary>
public static class AdminRegistration
{
    private const string Document = "v1";

    /// <summary>Adds what the API of the administrator needs.</summary>
    public static IServiceCollection AddAdmin(this IServiceCollection services, MirrorOptions options)
    {
        services.AddRouting();
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.ConfigureHttpJsonOptions(json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, AdminJson.Default));
        services.AddOpenApi(Document, document =>
        {
            var mine = Base(options.Http).TrimStart('/');
            document.ShouldInclude = route => route.RelativePath?.StartsWith(mine, StringComparison.Ordinal) == true;
            document.AddDocumentTransformer((api, _, _) =>
            {
                (api.Info.Title, api.Info.Version) = ("Mirror, for its administrator", "1");
                api.Servers = null;
                return Task.CompletedTask;
            });
        });
        return services
            .AddSingleton<AdminToken>()
            .AddSingleton<AdminAccess>()
            .AddSingleton<AdminPipeline>()
            .AddSingleton<ChangedRepositories>()
            .AddSingleton<ImageReader>()
            .AddSingleton(provider => new ImageIndex(
                IndexFile(options), provider.GetService<StoreRoot>() is { } root ? root.Require : null))
            .AddSingleton<ImageIndexing>()
            .AddHostedService(provider => provider.GetRequiredService<ImageIndexing>())
            .AddSingleton<StoreUsage>()
            .AddSingleton<ImageUses>()
            .AddSingleton<IImageUses>(provider => provider.GetRequiredService<ImageUses>())
            .AddSingleton<IManifestNotes>(provider => provider.GetRequiredService<ImageUses>())
            .AddSingleton<AdminAudit>()
            .AddSingleton<Purge>()
            .AddSingleton<Warmer>()
            .AddHostedService<ScheduledWarming>()
            .AddSingleton<Explanation>();
    }

    /// <summary>The references of the store, with their changes noted where there is an index of images.</summary>
    public static IReferenceStore Noting(this IServiceProvider services, IReferenceStore references) =>
        services.GetService<ChangedRepositories>() is { } changed ? new NotingReferenceStore(references, changed) : references;

    /// <summary>Answers every request below <c>/mirror/v1</c>, on every address of the server.</summary>
    public static void MapAdmin(this WebApplication app, HttpOptions http)
    {
        var path = Base(http);
        var pipeline = app.Services.GetRequiredService<AdminPipeline>();
        app.MapSeparately(context => context.Request.Path.StartsWithSegments(path), api =>
        {
            api.Use(pipeline.InvokeAsync);
            api.UseRouting().UseEndpoints(endpoints =>
            {
                AdminRoutes.Map(endpoints.MapGroup(path));
                endpoints.MapOpenApi($"{path}/openapi.json").WithMetadata(new ExcludeFromDescriptionAttribute());
            });
        });
    }

    private static string Base(HttpOptions http) => $"{http.Prefix.TrimEnd('/')}/mirror/v1";

    // Servers that share a folder and a Redis have an index each: their machines may not share its locks.
    private static string IndexFile(MirrorOptions options)
    {
        var file = Path.Combine(options.Storage.LocalDirectory, RegistryLayout.ImageIndex);
        return options.SharesByRedis()
            ? Path.ChangeExtension(file, $"{Environment.MachineName}-{NameOf(options.Http.Listen)}.db")
            : file;

        static string NameOf(ListenAddress address) => address.Socket?.Replace('/', '-') ?? $"{address.Port}";
    }
}
