using Mirror.Storage;

namespace Mirror.Access;

/// <summary>
/// What a request does with a repository. Pull reads manifests, blobs, tags and referrers. Push stores blobs and manifests. Delete deletes
/// manifests, tags and blobs. List shows the name in the catalog.
/// </summary>
public enum AccessAction
{
    Pull,
    Push,
    Delete,
    List,
}

/// <summary>An authenticated user. An <see cref="IAccess"/> that knows more, such as a token's scopes, derives from it.</summary>
public record AccessUser(string Name);

/// <summary>
/// Who sends a request, and what that user may do. Every route asks, through the table in <c>RegistryRoutes</c>; so do mounts, for the
/// repository that they read from, and the catalog, for each name that it lists.
/// </summary>
/// <remarks>
/// ASP.NET Core's authentication handlers are not used. They would allocate a principal and a ticket for each request, and write the
/// challenge outside of the registry's one table of errors. They know nothing of repositories, so these questions would remain.
/// </remarks>
public interface IAccess
{
    /// <summary>The user that a request comes from; null if it names no user, or the credentials are wrong.</summary>
    /// <param name="authorization">The request's <c>Authorization</c> header; null where there is none.</param>
    ValueTask<AccessUser?> AuthenticateAsync(string? authorization, CancellationToken cancellationToken);

    /// <summary>The name in credentials that <see cref="AuthenticateAsync"/> found wrong, for the log; null where there is none.</summary>
    string? RefusedUser(string authorization) => null;

    /// <summary>Whether a user may do this.</summary>
    /// <param name="user">Null for a client that is not authenticated.</param>
    /// <param name="repository">The name it is stored under; null for <c>/v2/</c> and for the catalog as a whole.</param>
    ValueTask<bool> AuthorizeAsync(AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken);

    /// <summary>The <c>WWW-Authenticate</c> header for a refused request (401); null if other credentials would not help (403).</summary>
    string? Challenge(AccessUser? user, RepositoryName? repository, AccessAction action);
}
