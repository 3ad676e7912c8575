using Mirror.Configuration;

namespace Mirror.Access;

/// <summary>Registers the <c>Access</c> services.</summary>
public static class AccessRegistration
{
    /// <summary>Adds the <see cref="IAccess"/> that the configuration asks for.</summary>
    public static IServiceCollection AddAccess(this IServiceCollection services, AuthOptions auth) => auth.Htpasswd is not null
        ? services.AddSingleton<Htpasswd>().AddSingleton<IAccess, HtpasswdAccess>()
        : services.AddSingleton<IAccess, OpenAccess>();
}
