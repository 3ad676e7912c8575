using Mirror.Configuration;

namespace Mirror.Access;

/// <summary>Wires the room <c>Access</c>.</summary>
public static class AccessRegistration
{
    /// <summary>Adds what the configuration asks for; nothing where everybody may come in.</summary>
    public static IServiceCollection AddAccess(this IServiceCollection services, AuthOptions auth) =>
        auth.Htpasswd is { } htpasswd ? services.AddSingleton(new BasicAccess(htpasswd)) : services;
}
