using Mirror.Storage;

namespace Mirror.Access;

/// <summary>No section <c>auth</c>: every client may do everything, and credentials are not looked at.</summary>
public sealed class OpenAccess : IAccess
{
    public ValueTask<AccessUser?> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken) => default;

    public ValueTask<bool> AuthorizeAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) => new(true);

    public Refusal Refuse(in RefusedRequest request) => new(null, "this client is not allowed to do this");
}
