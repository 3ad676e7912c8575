using System.Collections.Concurrent;
using System.Net;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>
/// The clients that get a blob while it is being downloaded, for the page Live. There is one entry for each such request.
/// </summary>
public sealed class WaitingClients
{
    private readonly ConcurrentDictionary<RegistryRequest, (Digest Blob, object? Client)> _requests = new();

    /// <summary>Each client that waits for a blob now: the name of its user, or else its address.</summary>
    public ILookup<Digest, string> ByBlob() => _requests.Values.ToLookup(
        waiting => waiting.Blob, waiting => waiting.Client switch
        {
            string user => user,
            IPAddress address => address.ToString(),
            _ => "an unknown address",
        });

    /// <summary>Notes the client of a request, until <see cref="Remove"/>.</summary>
    internal void Add(RegistryRequest request, Digest blob) => _requests[request] =
        (blob, request.User is { Name: { Length: > 0 } user } ? user : request.Http.Connection.RemoteIpAddress);

    internal void Remove(RegistryRequest request) => _requests.TryRemove(request, out _);
}
