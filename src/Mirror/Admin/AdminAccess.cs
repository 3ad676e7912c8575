using Mirror.Access;
using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Storage;

namespace Mirror.Admin;

/// <summary>
/// Who may use the API of the administrator: clients that <c>access.rules</c> let do <c>admin</c>, the owner of
/// <see cref="PrivilegedKey"/>, and the holder of <see cref="AdminToken"/>. The latter's token counts on <c>http.debug.addr</c> only, where
/// there is such an address.
/// </summary>
/// <remarks>That a request comes from this machine is no proof: a proxy on it passes on the requests of all clients.</remarks>
public sealed class AdminAccess(
    AdminToken token, HttpOptions http, LiveOptions live, IAccess access, Locations locations, AccessByRules? rules = null,
    PrivilegedKey? privileged = null)
{
    private bool HasRules =>
        live.Current.Access.Rules.Any(rule => rule.Actions.Contains("admin", StringComparer.OrdinalIgnoreCase));

    /// <summary>Whether the token of the administrator counts for a request.</summary>
    public bool IsTokensPlace(HttpContext context) => http.Debug.Addr is null || Listener.Debug.Accepted(context);

    /// <summary>The holder of the token.</summary>
    public static AdminCaller TokenHolder { get; } = new(new AccessUser("administrator"), null);

    /// <summary>A user that the rules let administer something; null for one whom they do not.</summary>
    public async ValueTask<AdminCaller?> FindAsync(AccessUser? user, CancellationToken cancellationToken) =>
        HasRules && rules is not null && await rules.AuthorizeAsync(user, null, AccessAction.Admin, cancellationToken)
            ? new AdminCaller(user, rules)
            : null;

    /// <summary>Who asks. The request learns its user.</summary>
    /// <exception cref="RegistryException">The client may not use the API at all.</exception>
    public async ValueTask<AdminCaller> RequireAsync(RegistryRequest request)
    {
        var context = request.Http;
        var isTokensPlace = IsTokensPlace(context);
        if (isTokensPlace && token.IsIn(context.Request))
        {
            request.User = TokenHolder.User;
            return TokenHolder;
        }
        if (privileged is not null && await privileged.UserOfAsync(context.Request) is { } owner)
            return new AdminCaller(request.User = owner, null);
        if (HasRules && rules is not null)
        {
            var user = request.User = await rules.AuthenticateAsync(context, request.Aborted);
            if (user is null && context.Request.Headers.Authorization is [{ } authorization, ..])
                request.RefusedUser = rules.RefusedUser(authorization);
            if (await FindAsync(user, request.Aborted) is { } caller)
                return caller;
            throw RegistryException.Of(access.Refuse(
                new(context, user, null, AccessAction.Admin, locations.PublicBase(context.Request))));
        }
        throw isTokensPlace
            ? new RegistryException(
                RegistryError.Unauthorized,
                (context.Request.Headers.Authorization is [{ } sent, ..] && sent.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
                    ? "the token that was sent is wrong: that of the administrator is in the server's storage folder, "
                    : "the token of the administrator is needed: it is in the server's storage folder, ")
                + "in mirror/admin-token. To let users in, write a rule with the action admin into access.rules")
            {
                Headers = [("WWW-Authenticate", "Bearer realm=\"mirror\"")],
            }
            : new RegistryException(RegistryError.Denied, "without a rule with the action admin in access.rules, this is answered on "
                + "http.debug.addr only")
            {
                Advice = "ask at http.debug.addr, or write a rule with the action admin into access.rules",
            };
    }
}

/// <summary>A client that may use the API of the administrator.</summary>
/// <param name="User">Null for a client without a login.</param>
/// <param name="Rules">What limits the client to some repositories; null for the holder of the token.</param>
public sealed record AdminCaller(AccessUser? User, AccessByRules? Rules)
{
    /// <summary>Whether the client may administer a repository.</summary>
    /// <param name="name">The name it is stored under.</param>
    public async ValueTask<bool> MayAsync(RepositoryName name, CancellationToken cancellationToken) =>
        Rules is null || await Rules.AuthorizeAsync(User, name, AccessAction.Admin, cancellationToken);

    /// <exception cref="RegistryException">The client may not administer the repository.</exception>
    public async ValueTask RequireAsync(RepositoryName name, CancellationToken cancellationToken)
    {
        if (!await MayAsync(name, cancellationToken))
            throw new RegistryException(RegistryError.Denied, $"no rule in access.rules lets this client administer {name}")
            {
                Advice = AccessByRules.Advice,
            };
    }

    /// <summary>Whether the client may administer the server, and not only some repositories.</summary>
    public bool MayServer => Rules?.MayDoEverywhere(User, AccessAction.Admin) != false;

    /// <exception cref="RegistryException">The client may not administer the server, but only some repositories.</exception>
    public void RequireServer()
    {
        if (!MayServer)
            throw new RegistryException(
                RegistryError.Denied, "this needs a rule in access.rules with the action admin and the repositories \"**\"")
            {
                Advice = AccessByRules.Advice,
            };
    }
}
