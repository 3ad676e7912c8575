using Mirror.Access;
using Mirror.Registry;
using Mirror.Storage;

namespace Mirror.Web;

/// <summary>The rights of a browser that logged in at a token server, for one request: each repository may need a token of its
/// own.</summary>
public sealed class TokenRights
{
    private const string Login = "registry:catalog:*";

    private readonly TokenSession _session;
    private readonly byte[] _key;
    private readonly HttpContext _http;
    private readonly AccessByRules? _rules;
    private readonly DateTimeOffset _began;

    internal TokenRights(TokenSession session, byte[] key, HttpContext http, AccessByRules? rules, TimeProvider time) =>
        (_session, _key, _http, _rules, _began) = (session, key, http, rules, time.GetUtcNow());

    /// <summary>The user, without rights on repositories; null where the token server does not accept the login any more.</summary>
    /// <exception cref="RegistryException">The token server cannot be asked.</exception>
    public async ValueTask<AccessUser?> UserAsync(CancellationToken cancellationToken) =>
        await UsersAsync([Login], cancellationToken) is { } users ? WithCertificate(users[Login]) : null;

    /// <summary>The user, with the rights on a repository that the token server gives.</summary>
    /// <exception cref="RegistryException">The login is not accepted any more, or the token server cannot be asked.</exception>
    public async ValueTask<AccessUser> UserForAsync(RepositoryName name, AccessAction action, CancellationToken cancellationToken)
    {
        var scope = ScopeOf(name, action);
        return WithCertificate((await UsersAsync([scope], cancellationToken) ?? throw Ended())[scope]);
    }

    /// <summary>Asks for the right to pull from many repositories at once.</summary>
    /// <exception cref="RegistryException">As for one.</exception>
    public async ValueTask PrepareAsync(IEnumerable<RepositoryName> names, CancellationToken cancellationToken) => _ =
        await UsersAsync([.. names.Select(name => ScopeOf(name, AccessAction.Pull)).Distinct()], cancellationToken) ?? throw Ended();

    private ValueTask<IReadOnlyDictionary<string, AccessUser>?> UsersAsync(string[] scopes, CancellationToken cancellationToken) =>
        _session.UsersAsync(_key, scopes, _began, cancellationToken);

    // The session outlives the request, whose certificate counts for it alone.
    private AccessUser WithCertificate(AccessUser login) => _rules?.WithCertificate(login, _http) ?? login;

    // Nothing but the deletion of a tag needs more of the token than to pull. The rest is in access.rules.
    private static string ScopeOf(RepositoryName name, AccessAction action) =>
        $"repository:{name}:{(action is AccessAction.Delete ? "pull,delete" : "pull")}";

    private static RegistryException Ended() => new(
        RegistryError.Unauthorized, "the token server does not accept this login any more: log in again");
}
