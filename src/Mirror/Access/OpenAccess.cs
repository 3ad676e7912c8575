using Mirror.Storage;

namespace Mirror.Access;

/// <summary>No section <c>auth</c>: every client may do everything, and credentials are not looked at.</summary>
public sealed class OpenAccess : IAccess
{
    public ValueTask<AccessUser?> AuthenticateAsync(string? authorization, CancellationToken cancellationToken) => default;

    public ValueTask<bool> AuthorizeAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) => new(true);

    public string? Challenge(AccessUser? user, RepositoryName? repository, AccessAction action) => null;
}
