using Mirror.Fleet;

namespace Mirror.Registry;

/// <summary>Sends requests about an upload to the replica that has it open.</summary>
public sealed class UploadForwarding(Forwarding forwarding, UploadOwners owners)
{
    /// <summary>
    /// A route that passes on the answer of the replica that has the upload. It uses <paramref name="answer"/> if that is this replica, or
    /// if the other one cannot be reached: the bytes may be in storage that both share.
    /// </summary>
    public Func<RegistryRequest, Task> Around(Func<RegistryRequest, Task> answer) => async request =>
    {
        // A forwarded request is not forwarded again.
        if (request.IsFromReplica
            || owners.OtherOwner(request.Http.Request.Query, request.Route.Last) is not { } owner
            || !await forwarding.TryAsync(request.Http, owner))
            await answer(request);
    };
}
