using System.Net;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Redirects;

/// <summary><c>redirect</c>: a server of the operator's has all blobs below an address, without a signature.</summary>
internal sealed class RedirectStep(StorageMiddlewareSettings options) : IAddressStep
{
    private readonly string _base = options.BaseUrl!.TrimEnd('/');

    public ValueTask<Uri?> LocateAsync(Digest digest, IPAddress? client, Func<ValueTask<Uri?>> inner) =>
        new(new Uri($"{_base}/{RegistryLayout.BlobData(digest)}"));
}
