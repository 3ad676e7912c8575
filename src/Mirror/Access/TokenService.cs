using Mirror.Storage;

namespace Mirror.Access;

/// <summary>
/// Issues the tokens of our <c>/auth/token</c>, for a client whose request has a correct login, and for a client without a login. A token
/// contains those of the requested rights that the client has.
/// </summary>
public sealed class TokenService(
    [FromKeyedServices(TokenService.Logins)] IAccess logins, AccessByRules access, AccessRules rules, OwnTokens tokens,
    PrivilegedKey? privileged = null)
{
    /// <summary>The key of the <see cref="IAccess"/> that lets users log in.</summary>
    public const string Logins = "logins";

    private static readonly Dictionary<string, AccessAction> Actions = new()
    {
        ["pull"] = AccessAction.Pull,
        ["push"] = AccessAction.Push,
        ["delete"] = AccessAction.Delete,
    };

    /// <summary>The client of a request for a token, and whether it may have one.</summary>
    /// <returns>False where the client's login is wrong.</returns>
    public async ValueTask<(bool Allowed, AccessUser? User)> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(http.Request.Headers.Authorization))
            return (true, access.WithCertificate(null, http));
        if (privileged is not null && await privileged.UserOfAsync(http.Request) is { } owner)
            return (true, owner);
        // A client cannot get a token by means of a token: it could renew it for ever.
        var login = await logins.AuthenticateAsync(http, cancellationToken);
        return (login is not null, access.WithCertificate(login, http));
    }

    /// <inheritdoc cref="IAccess.RefusedUser"/>
    public string? RefusedUser(string authorization) => logins.RefusedUser(authorization);

    /// <summary>How to answer where the login is wrong.</summary>
    public Refusal Refuse(in RefusedRequest request) => logins.Refuse(request);

    /// <summary>A token with those of the rights in these scopes that the client has. The owner of the privileged key gets his own token
    /// back.</summary>
    /// <param name="scopes">Such as <c>repository:team/app:pull,push</c>.</param>
    /// <param name="resolve">The name under which a repository is stored, for the name that a client uses; null where it has none.</param>
    /// <exception cref="IOException">The key of the tokens cannot be read.</exception>
    public ValueTask<string> IssueAsync(
        AccessUser? user, IEnumerable<string> scopes, Func<string, RepositoryName?> resolve, CancellationToken cancellationToken)
    {
        if (user is PrivilegedUser owner)
            return new(owner.Token);
        HashSet<ResourceAction> rights = [];
        foreach (var scope in scopes)
        {
            var (first, last) = (scope.IndexOf(':'), scope.LastIndexOf(':'));
            if (first < 0 || first == last)
                continue;
            if (scope.StartsWith("registry:catalog:", StringComparison.Ordinal) && access.MayHave(user, null, AccessAction.List))
                rights.Add(ResourceAction.Of(null, AccessAction.List));
            if (!scope.StartsWith("repository:", StringComparison.Ordinal) || resolve(scope[(first + 1)..last]) is not { } repository)
                continue;
            var words = scope[(last + 1)..].Split(',');
            foreach (var (word, action) in Actions)
                if ((words.Contains(word) || words.Contains("*")) && access.MayHave(user, repository, action))
                    rights.Add(ResourceAction.Of(repository, action));
        }
        return tokens.IssueAsync(user is CertificateUser shown ? shown.Login : user, rights, rules.Claims, cancellationToken);
    }
}
