using System.Net;
using Mirror.Storage;

namespace Mirror.Redirects;

/// <summary>One of the steps by which the address of a stored blob comes about.</summary>
internal interface IAddressStep
{
    /// <summary>The address that the client is sent to; null: it is sent to none.</summary>
    /// <param name="client">The client's address; null where it is unknown.</param>
    /// <param name="inner">The address of the steps before this one, and at the beginning the store's own.</param>
    ValueTask<Uri?> LocateAsync(Digest digest, IPAddress? client, Func<ValueTask<Uri?>> inner);
}
