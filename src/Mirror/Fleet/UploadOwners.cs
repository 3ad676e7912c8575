using System.Buffers.Text;
using System.Text;

namespace Mirror.Fleet;

/// <summary>
/// Which replica has an upload open. The upload's address carries that replica's own address, signed, in <c>_state</c>, as registry:2's
/// does. Clients return it unread, so no request for an upload asks Redis.
/// </summary>
/// <param name="redis">Null where this is the only replica.</param>
public sealed class UploadOwners(Replica self, FleetIdentity fleet, FleetKeys keys, ReplicaSignature signature, RedisGuard? redis = null)
{
    private const string Parameter = "_state";

    private readonly bool _canForward = redis is not null && keys.IsShared;

    /// <summary>
    /// Whether another replica may get the requests for an upload of this one, and cannot find this one: replicas without Redis that
    /// share <c>http.secret</c>, behind a load balancer, as those of registry:2 do.
    /// </summary>
    public bool CannotBeFound { get; } = redis is null && keys.IsShared;

    /// <summary>The query of an upload's address; empty where this is the only replica.</summary>
    public string Query(Guid id)
    {
        if (!_canForward)
            return "";
        var state = signature.SignText(Place(id.ToString()), self.Address.AbsoluteUri);
        return $"?{Parameter}={Base64Url.EncodeToString(Encoding.ASCII.GetBytes(state))}";
    }

    /// <summary>The other replica that has an upload open; null where it is this one, or the address names no replica.</summary>
    public Uri? OtherOwner(IQueryCollection query, string id) =>
        _canForward && query[Parameter] is [{ } state] && Base64Url.IsValid(state)
            && signature.TryReadText(Place(id), Encoding.ASCII.GetString(Base64Url.DecodeFromChars(state)), out var address)
            ? self.OtherAt(address) : null;

    private string Place(string id) => $"upload {fleet.Store} {id}";
}
