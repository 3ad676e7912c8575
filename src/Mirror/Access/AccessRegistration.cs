using Mirror.Configuration;

namespace Mirror.Access;

/// <summary>Registers the <c>Access</c> services.</summary>
public static class AccessRegistration
{
    /// <summary>Adds the <see cref="IAccess"/> that the configuration asks for, and <see cref="TokenService"/> where clients need
    /// it.</summary>
    public static IServiceCollection AddAccess(this IServiceCollection services, MirrorOptions options)
    {
        services.AddSingleton<TokenSecret>();
        if (options.Auth.Htpasswd is not null)
            services.AddSingleton<Htpasswd>().AddSingleton<PasswordChecks>();
        if (options.Auth is { Htpasswd: null, Token: { } server } && TokenLogins.MayAsk(server))
            services.AddSingleton(new TokenLogins(server));
        if (options.Proxy.UpstreamsForClientLogins is not [])
            services.AddSingleton<ClientLogins>();
        if (options.Auth.PrivilegedKey is not null)
            services.AddSingleton(provider => new PrivilegedKey(options.Auth, provider.GetRequiredService<TimeProvider>()));
        if (options.Access.Rules is [])
            return services.AddSingleton(provider => WithPrivileged(provider, Logins(provider, options.Auth)));
        // Without tokens, the server can ask either every client for a password, or none.
        if (options.Auth is not { Htpasswd: null, Oidc: null } and { Token: null, Silly: null }
            && AccessRules.HasOpenRule(options.Access))
            services.AddSingleton<OwnTokens>().AddSingleton<TokenService>();
        return services
            .AddSingleton<AccessRules>()
            .AddKeyedSingleton(TokenService.Logins, (provider, _) => Logins(provider, options.Auth))
            .AddSingleton(provider => new AccessByRules(
                provider.GetRequiredKeyedService<IAccess>(TokenService.Logins), provider.GetRequiredService<AccessRules>(),
                provider.GetService<OwnTokens>()))
            .AddSingleton(provider => WithPrivileged(provider, provider.GetRequiredService<AccessByRules>()));
    }

    private static IAccess WithPrivileged(IServiceProvider provider, IAccess others) =>
        provider.GetService<PrivilegedKey>() is { } key ? new PrivilegedAccess(others, key) : others;

    private static IAccess Logins(IServiceProvider provider, AuthOptions auth)
    {
        IAccess logins = auth switch
        {
            { Htpasswd: not null } => ActivatorUtilities.CreateInstance<HtpasswdAccess>(provider, provider.GetRequiredService<Htpasswd>()),
            { Token: { } token } => new TokenServerAccess(token, provider.GetRequiredService<TimeProvider>()),
            { Silly: { } silly } => new SillyAccess(silly),
            _ => new OpenAccess(),
        };
        return auth.Oidc is { } oidc ? ActivatorUtilities.CreateInstance<OidcAccess>(provider, logins, oidc) : logins;
    }
}
