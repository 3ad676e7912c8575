using System.Net;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Redirects;

/// <summary><c>rewrite</c>: the store has another name for clients. The query stays as it is.</summary>
internal sealed class RewriteStep(StorageMiddlewareSettings options) : IAddressStep
{
    public async ValueTask<Uri?> LocateAsync(Digest digest, IPAddress? client, Func<ValueTask<Uri?>> inner)
    {
        if (await inner() is not { } address)
            return null;
        var path = address.AbsolutePath;
        if (options.TrimPathPrefix is { Length: > 0 } prefix && path.StartsWith(prefix, StringComparison.Ordinal))
        {
            // No more than the one slash at the boundary: on Azure, registry:2's names begin with a slash of their own.
            var rest = path[prefix.Length..];
            path = prefix.EndsWith('/') || !rest.StartsWith('/') ? $"/{rest}" : rest;
        }
        return new Uri($"{options.Scheme ?? address.Scheme}://{options.Host ?? address.Authority}{path}{address.Query}");
    }
}
