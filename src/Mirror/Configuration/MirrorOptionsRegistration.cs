namespace Mirror.Configuration;

/// <summary>Gives each room its own options. Settings change by restart only, so they are plain singletons.</summary>
public static class MirrorOptionsRegistration
{
    extension(IServiceCollection services)
    {
        /// <summary>Registers every section of <paramref name="options"/> as a singleton of its own type.</summary>
        public IServiceCollection AddMirrorOptions(MirrorOptions options) => services
            .AddSingleton(options)
            .AddSingleton<LiveOptions>()
            .AddSingleton(options.Log)
            .AddSingleton(options.Storage)
            .AddSingleton(options.Http)
            .AddSingleton(options.Proxy)
            .AddSingleton(options.Hosted)
            .AddSingleton(options.Redis)
            .AddSingleton(options.Fleet)
            .AddSingleton(options.Notifications)
            .AddSingleton(options.Validation)
            .AddSingleton(options.Catalog)
            .AddSingleton(options.Tags);
    }
}
