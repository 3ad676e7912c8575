using Mirror.Access;
using Mirror.Admin;
using Mirror.Storage;

namespace Mirror.Web;

/// <summary>The client that looks at a page, and what it may see and do.</summary>
/// <param name="Access">Null lets it see nothing.</param>
/// <param name="User">Null for a client without a login.</param>
/// <param name="Admin">Null for a client that may administer nothing.</param>
/// <param name="HasSession">Whether it has logged in by the form, so that it can log out.</param>
/// <param name="FormToken">What a form must send with it: another site cannot know it.</param>
/// <param name="MayRead">Whether the client's own login lets it read a repository of an upstream; null where every client may
/// (<c>proxy.private</c>).</param>
public sealed record Viewer(
    IAccess? Access, AccessUser? User, AdminCaller? Admin, bool HasSession, string FormToken,
    Func<RepositoryName, ValueTask<bool>>? MayRead = null)
{
    /// <summary>A client of which nothing is known: it may see and do nothing.</summary>
    public static Viewer Unknown { get; } = new(null, null, null, false, "");

    /// <summary>Whether it may administer the whole server.</summary>
    public bool IsServerAdmin => Admin?.MayServer == true;

    /// <summary>Whether everything of every repository may be shown to it.</summary>
    public bool SeesAll => Admin is { Rules: null } || Access is OpenAccess && MayRead is null;

    /// <summary>Whether it may pull from a repository, by the name it is stored under: only then it may learn that there is one.</summary>
    public async ValueTask<bool> MaySeeAsync(RepositoryName name, CancellationToken cancellationToken) =>
        SeesAll
        || Access is not null && await Access.AuthorizeAsync(User, name, AccessAction.Pull, cancellationToken)
            && (MayRead is null || await MayRead(name));

    /// <summary>Whether it may administer a repository.</summary>
    public async ValueTask<bool> MayChangeAsync(RepositoryName name, CancellationToken cancellationToken) =>
        Admin is { } admin && await admin.MayAsync(name, cancellationToken);
}
