using Mirror.Storage;

namespace Mirror.Access;

/// <summary>
/// What a request does with a repository. Pull reads manifests, blobs, tags and referrers. Push stores blobs and manifests. Delete deletes
/// manifests, tags and blobs. List shows the name in the catalog. Admin covers the API of the administrator.
/// </summary>
public enum AccessAction
{
    Pull,
    Push,
    Delete,
    List,
    Admin,
}

/// <summary>
/// An authenticated user. An <see cref="IAccess"/> that knows more of a user, such as a token's scopes, has a class that derives from this
/// one.
/// </summary>
public record AccessUser(string Name)
{
    /// <summary>The prefix of the names of users whom rules know by their claims only. A name in a password file has no colon, so no such
    /// user can have this prefix.</summary>
    protected const string ClaimsOnlyPrefix = "oidc:";

    /// <summary>Whether rules may know the user by name.</summary>
    public bool IsKnownByName => !Name.StartsWith(ClaimsOnlyPrefix, StringComparison.Ordinal);

    /// <summary>When the login ends by itself; null if it does not.</summary>
    public virtual DateTimeOffset? Until => null;

    /// <summary>The classes of manifests that the user may push to a repository; null if the login does not limit them.</summary>
    public virtual IEnumerable<string>? ClassesOf(RepositoryName repository) => null;

    /// <summary>The values of a claim about the user; none if the login does not have this claim.</summary>
    public virtual IEnumerable<string> ValuesOf(string claim) => [];
}

/// <summary>A request that may not be made.</summary>
/// <param name="Repository">As for <see cref="IAccess.AuthorizeAsync"/>.</param>
/// <param name="BaseUrl">The absolute URL in front of <c>/v2/</c> by which the client reaches this registry.</param>
public readonly record struct RefusedRequest(
    HttpContext Http, AccessUser? User, RepositoryName? Repository, AccessAction Action, string BaseUrl);

/// <summary>The answer to a request that may not be made.</summary>
/// <param name="Challenge">The <c>WWW-Authenticate</c> header (401); null if other credentials would not help (403).</param>
/// <param name="Message">The message of the error that the client gets.</param>
/// <param name="Resources">The rights that the request needs, for clients that read them; null to tell only the message.</param>
/// <param name="Advice">For the log: what the operator can do if the client shall be allowed to do this. Null with a challenge.</param>
public sealed record Refusal(
    string? Challenge, string Message, IReadOnlyList<ResourceAction>? Resources = null, string? Advice = null);

/// <summary>
/// Finds out which user sends a request, and what this user may do. Every route asks it, through the table in <c>RegistryRoutes</c>. A
/// mount asks it for the repository that the blob comes from, and the catalog for each name that it lists.
/// </summary>
/// <remarks>
/// ASP.NET Core's authentication handlers are not used. They would allocate a principal and a ticket for each request, and write the
/// challenge outside of the registry's one table of errors. They know nothing of repositories, so this interface would still be needed.
/// </remarks>
public interface IAccess
{
    /// <summary>The user that a request comes from; null if it names no user, or the credentials are wrong.</summary>
    ValueTask<AccessUser?> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken);

    /// <summary>The name in credentials that <see cref="AuthenticateAsync"/> found wrong, for the log; null where there is none.</summary>
    string? RefusedUser(string authorization) => null;

    /// <summary>Whether a user may do this.</summary>
    /// <param name="user">Null for a client that is not authenticated.</param>
    /// <param name="repository">The repository, by the name under which the store has it; null for <c>/v2/</c> and for the catalog as a
    /// whole.</param>
    ValueTask<bool> AuthorizeAsync(AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken);

    /// <summary>The setting that lets a user do this, such as <c>access.rules.0</c> for the first rule, for the audit log; null where no
    /// rule does.</summary>
    ValueTask<string?> RuleForAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) => default;

    /// <summary>How to answer a request that <see cref="AuthorizeAsync"/> said no to.</summary>
    Refusal Refuse(in RefusedRequest request);
}
