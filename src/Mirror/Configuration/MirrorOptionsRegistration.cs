namespace Mirror.Configuration;

/// <summary>Registers each section as a singleton of its own type, so that a service takes only the settings that it uses.</summary>
public static class MirrorOptionsRegistration
{
    extension(IServiceCollection services)
    {
        /// <summary>Registers the sections of <paramref name="options"/>, which stay as they are until a restart, and <see
        /// cref="LiveOptions"/>.</summary>
        public IServiceCollection AddMirrorOptions(MirrorOptions options) => services
            .AddSingleton(options)
            .AddSingleton<LiveOptions>()
            .AddSingleton(options.Log)
            .AddSingleton(options.Storage)
            .AddSingleton(options.Middleware)
            .AddSingleton(options.Http)
            .AddSingleton(options.Proxy)
            .AddSingleton(options.Hosted)
            .AddSingleton(options.Redis)
            .AddSingleton(options.Fleet)
            .AddSingleton(options.Notifications)
            .AddSingleton(options.Compatibility.Schema1)
            .AddSingleton(options.Validation)
            .AddSingleton(options.Catalog)
            .AddSingleton(options.Policy)
            .AddSingleton(options.Ui)
            .AddSingleton(options.Tags);
    }
}
