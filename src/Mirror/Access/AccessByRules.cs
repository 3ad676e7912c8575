using Mirror.Storage;

namespace Mirror.Access;

/// <summary>A client with a certificate.</summary>
/// <param name="Login">The user; null for a client that is not logged in.</param>
/// <param name="Certificate">The names in the certificate.</param>
internal sealed record CertificateUser(AccessUser? Login, IReadOnlyList<string> Certificate) : AccessUser(Login?.Name ?? Certificate[0])
{
    public override DateTimeOffset? Until => Login?.Until;

    public override IEnumerable<string>? ClassesOf(RepositoryName repository) => Login?.ClassesOf(repository);
}

/// <summary>
/// <c>access.rules</c> around a way to log in: the login says who a client is, and the rules say what it may do. With a token server the
/// token must allow the request too, unless the rule that allows it is for every client or for the client's certificate.
/// </summary>
/// <param name="logins">The way to log in.</param>
/// <param name="tokens">Our own tokens; null where clients log in with each request.</param>
public sealed class AccessByRules(IAccess logins, AccessRules rules, OwnTokens? tokens) : IAccess
{
    /// <summary>What the operator can do about a request that no rule allows.</summary>
    public const string Advice = "if this client shall be allowed to do this, add a rule for it to access.rules";

    public async ValueTask<AccessUser?> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken)
    {
        var login = tokens is not null && BearerChallenge.TokenIn(http.Request.Headers.Authorization) is { } token
            ? await tokens.ReadAsync(token, cancellationToken)
            : await logins.AuthenticateAsync(http, cancellationToken);
        return WithCertificate(login, http);
    }

    public string? RefusedUser(string authorization) => logins.RefusedUser(authorization);

    public async ValueTask<bool> AuthorizeAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken)
    {
        // A client requests /v2/ to learn how to log in, so it must get a challenge if it is not logged in.
        if (repository is null && action is AccessAction.Pull)
        {
            var (login, certificate) = Parts(user);
            return login is not null || logins is OpenAccess || rules.HasRuleFor(certificate);
        }
        return await FindAsync(user, repository, action, cancellationToken) is not null;
    }

    /// <summary>Whether a rule about every repository (<c>**</c>) lets a client do this.</summary>
    public bool MayDoEverywhere(AccessUser? user, AccessAction action)
    {
        var (login, certificate) = Parts(user);
        return rules.AllowsEverywhere(Named(login), certificate, action);
    }

    /// <summary>Whether a rule lets a client do this, if its login allows it too.</summary>
    internal bool MayHave(AccessUser? user, RepositoryName? repository, AccessAction action)
    {
        var (login, certificate) = Parts(user);
        return rules.Find(Named(login), certificate, repository, action, loginAllows: true) is not null;
    }

    public async ValueTask<string?> RuleForAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) =>
        await FindAsync(user, repository, action, cancellationToken) is { } rule ? $"access.rules.{rule}" : null;

    /// <summary>The user, with the certificate that the client showed.</summary>
    internal AccessUser? WithCertificate(AccessUser? login, HttpContext http) =>
        rules.HasCertificateRule && http.Connection.ClientCertificate is { } shown && CertificateNames.Of(shown) is { Count: > 0 } names
            ? new CertificateUser(login, names)
            : login;

    public Refusal Refuse(in RefusedRequest request)
    {
        var (login, _) = Parts(request.User);
        if (Named(login) is { } user && !MayHave(request.User, request.Repository, request.Action))
        {
            var what = request.Repository is { } name ? $"{Word(request.Action)} {name}" : "do this";
            return new(null, $"no rule in access.rules lets {user.Name} {what}", Advice: Advice);
        }
        var refusal = tokens is null ? logins.Refuse(request with { User = login }) : tokens.Refuse(request with { User = login });
        return refusal.Challenge is null ? refusal with { Advice = Advice } : refusal;
    }

    private async ValueTask<int?> FindAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken)
    {
        var (login, certificate) = Parts(user);
        var allows = login is OwnTokenUser own ? own.Grants(repository, action)
            : login is not null && await logins.AuthorizeAsync(login, repository, action, cancellationToken);
        return rules.Find(Named(login), certificate, repository, action, allows);
    }

    // A token of our own for a client without a login names no user.
    private static AccessUser? Named(AccessUser? login) => login is OwnTokenUser { Name: "" } ? null : login;

    private static (AccessUser? Login, IReadOnlyList<string> Certificate) Parts(AccessUser? user) =>
        user is CertificateUser shown ? (shown.Login, shown.Certificate) : (user, []);

    private static string Word(AccessAction action) => action switch
    {
        AccessAction.Pull => "pull from",
        AccessAction.Push => "push to",
        AccessAction.Delete => "delete from",
        AccessAction.List => "list",
        _ => "administer",
    };
}
