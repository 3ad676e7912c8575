namespace Mirror.Fleet;

/// <summary>
/// Which replica has an upload open. Clients are told so themselves, sealed, in the address to go on at; they know nothing of it and give it back, as
/// they do with registry:2's <c>_state</c>. So a push does not need Redis.
/// </summary>
/// <param name="memory">Null where there are no other replicas.</param>
public sealed class UploadOwners(Replica self, FleetSecret secret, RedisGuard? memory = null)
{
    private const string Parameter = "_state";

    private readonly bool _any = memory is not null && secret.IsShared;

    /// <summary>What to add to an upload's address; empty where this is the only replica.</summary>
    public string Query(Guid id) => _any ? $"?{Parameter}={secret.SealText(Place(id.ToString()), self.Address.AbsoluteUri)}" : "";

    /// <summary>The other replica that has an upload open; null where it is this one, or the address does not say.</summary>
    public Uri? Elsewhere(IQueryCollection query, string id) =>
        _any && secret.TryOpenText(Place(id), query[Parameter], out var text) && Uri.TryCreate(text, UriKind.Absolute, out var holder) && self.IsOther(holder) ? holder : null;

    private static string Place(string id) => $"upload {id}";
}
