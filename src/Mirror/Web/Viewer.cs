using Mirror.Access;
using Mirror.Admin;
using Mirror.Storage;

namespace Mirror.Web;

/// <summary>The client that looks at a page, and what it may see and do.</summary>
/// <param name="Access">What decides which repositories the client may see; null for a client that may see none.</param>
/// <param name="User">Null for a client without a login.</param>
/// <param name="Admin">Null for a client that may administer nothing.</param>
/// <param name="HasSession">Whether the client has logged in by the form, so that it can log out.</param>
/// <param name="FormToken">The token that a form of this client must contain: another site cannot know it.</param>
/// <param name="MayRead">
/// Tells whether the client may read a repository of an upstream (<c>proxy.private</c>); null where no upstream limits that.
/// </param>
/// <param name="Rights">The rights on each repository, where a token server gives them; null where <c>User</c> has them all.</param>
public sealed record Viewer(
    IAccess? Access, AccessUser? User, AdminCaller? Admin, bool HasSession, string FormToken,
    Func<RepositoryName, ValueTask<bool>>? MayRead = null, TokenRights? Rights = null)
{
    /// <summary>A client that the server does not know yet: it may see and do nothing.</summary>
    public static Viewer Unknown { get; } = new(null, null, null, false, "");

    /// <summary>Whether the client may administer the whole server.</summary>
    public bool IsServerAdmin => Admin?.MayServer == true;

    /// <summary>Whether the client may see all repositories, so that no page has to check each one.</summary>
    public bool SeesAll => Admin is { Rules: null } || Access is OpenAccess && MayRead is null;

    /// <summary>Whether the client may pull from a repository. If it may not, no page shows it that the repository exists.</summary>
    /// <param name="name">The name under which the repository is stored.</param>
    public async ValueTask<bool> MaySeeAsync(RepositoryName name, CancellationToken cancellationToken) =>
        SeesAll
        || Access is not null && await UserForAsync(name, AccessAction.Pull, cancellationToken) is var user
            && await Access.AuthorizeAsync(user, name, AccessAction.Pull, cancellationToken)
            && (MayRead is null || await MayRead(name));

    /// <summary>Whether the client may administer a repository.</summary>
    public async ValueTask<bool> MayChangeAsync(RepositoryName name, CancellationToken cancellationToken) =>
        Admin is { } admin
        && await (Rights is null ? admin : admin with { User = await UserForAsync(name, AccessAction.Pull, cancellationToken) })
            .MayAsync(name, cancellationToken);

    /// <summary>The user, as the login lets it do something with a repository.</summary>
    public async ValueTask<AccessUser?> UserForAsync(RepositoryName name, AccessAction action, CancellationToken cancellationToken) =>
        Rights is null ? User : await Rights.UserForAsync(name, action, cancellationToken);

    /// <summary>Call it before <see cref="MaySeeAsync"/> for many repositories: their rights are then asked for at once.</summary>
    public ValueTask PrepareAsync(IEnumerable<RepositoryName> names, CancellationToken cancellationToken) =>
        Rights is null ? ValueTask.CompletedTask : Rights.PrepareAsync(names, cancellationToken);
}
