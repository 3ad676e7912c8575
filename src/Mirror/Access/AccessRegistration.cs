using Mirror.Configuration;

namespace Mirror.Access;

/// <summary>Registers the <c>Access</c> services.</summary>
public static class AccessRegistration
{
    /// <summary>Adds the <see cref="IAccess"/> that the configuration asks for, and <see cref="TokenService"/> where clients need
    /// it.</summary>
    public static IServiceCollection AddAccess(this IServiceCollection services, MirrorOptions options)
    {
        if (options.Auth.Htpasswd is not null)
            services.AddSingleton<Htpasswd>();
        if (options.Access.Rules is [])
            return services.AddSingleton(provider => Logins(provider, options.Auth));
        var rules = new AccessRules(options.Access);
        // Passwords alone cannot be asked for only where they are needed.
        if (options.Auth.Htpasswd is not null && rules.IsOpenSomewhere)
            services.AddSingleton<OwnTokens>().AddSingleton<TokenService>();
        return services
            .AddSingleton(rules)
            .AddKeyedSingleton(TokenService.Logins, (provider, _) => Logins(provider, options.Auth))
            .AddSingleton(provider => new RulesAccess(
                provider.GetRequiredKeyedService<IAccess>(TokenService.Logins), rules, provider.GetService<OwnTokens>()))
            .AddSingleton<IAccess>(provider => provider.GetRequiredService<RulesAccess>());
    }

    private static IAccess Logins(IServiceProvider provider, AuthOptions auth) => auth switch
    {
        { Htpasswd: not null } => ActivatorUtilities.CreateInstance<HtpasswdAccess>(provider, provider.GetRequiredService<Htpasswd>()),
        { Token: { } token } => new TokenServerAccess(token, provider.GetRequiredService<TimeProvider>()),
        { Silly: { } silly } => new SillyAccess(silly),
        _ => new OpenAccess(),
    };
}
