using System.Buffers.Text;
using System.Text;

namespace Mirror.Fleet;

/// <summary>
/// Which replica has an upload open. The upload's address carries that replica's own address, signed, in <c>_state</c>, as registry:2's does. Clients
/// return it unread, so a push does not need Redis.
/// </summary>
/// <param name="redis">Null where this is the only replica.</param>
public sealed class UploadOwners(Replica self, FleetIdentity fleet, FleetKeys keys, ReplicaSignature signature, RedisGuard? redis = null)
{
    private const string Parameter = "_state";

    private readonly bool _any = redis is not null && keys.IsShared;

    /// <summary>The query of an upload's address; empty where this is the only replica.</summary>
    public string Query(Guid id) => !_any ? ""
        : $"?{Parameter}={Base64Url.EncodeToString(Encoding.UTF8.GetBytes(signature.SignText(Place(id.ToString()), self.Address.AbsoluteUri)))}";

    /// <summary>The other replica that has an upload open; null where it is this one, or the address names no replica.</summary>
    public Uri? Elsewhere(IQueryCollection query, string id) =>
        _any && query[Parameter] is [{ } state] && Base64Url.IsValid(state)
            && signature.TryReadText(Place(id), Encoding.UTF8.GetString(Base64Url.DecodeFromChars(state)), out var text)
            && Uri.TryCreate(text, UriKind.Absolute, out var owner) && self.IsOther(owner)
            ? owner : null;

    private string Place(string id) => $"upload {fleet.Store} {id}";
}
