using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Access;

/// <summary><c>auth.silly</c>: a client with any <c>Authorization</c> header is the user <c>silly</c>, who may do everything.</summary>
public sealed class SillyAccess(SillyOptions options) : IAccess
{
    private static readonly AccessUser Silly = new("silly");

    public ValueTask<AccessUser?> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken) =>
        new(string.IsNullOrEmpty(http.Request.Headers.Authorization) ? null : Silly);

    public ValueTask<bool> AuthorizeAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) => new(user is not null);

    public Refusal Refuse(in RefusedRequest request)
    {
        var needed = ResourceAction.NeededFor(request.Repository, request.Action, ResourceAction.FromOf(request.Http.Request));
        // Here each right is a separate scope.
        var scope = string.Join(' ', needed.Select(right => $"{right.Type}:{right.Name}:{right.Action}"));
        return new(BearerChallenge.Of(options.Realm, options.Service, scope), BearerChallenge.Message, needed);
    }
}
