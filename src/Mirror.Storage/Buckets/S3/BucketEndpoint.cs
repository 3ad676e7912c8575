using Amazon.Runtime.Endpoints;
using Amazon.S3.Endpoints;
using Amazon.S3.Internal;
using Endpoint = Amazon.Runtime.Endpoints.Endpoint;

namespace Mirror.Storage.Buckets.S3;

/// <summary>
/// The address of the bucket for AWS's library, which asks for it at each request. The library's own provider looks through its rules each
/// time, in one large method. After a thousand requests the runtime compiles that method again, which takes 16 MiB of memory. Here all
/// requests with the same parameters share one answer.
/// </summary>
/// <param name="address">The bucket's own address, such as a domain of its owner; null for the usual one with its name.</param>
internal sealed class BucketEndpoint(string? address) : IEndpointProvider
{
    private readonly AmazonS3EndpointProvider _usual = new();

    // One is enough: only the region that a bucket turns out to be in, and the sessions of directory buckets, ask with other parameters.
    private Known? _last;

    public Endpoint ResolveEndpoint(EndpointParameters parameters)
    {
        var key = Key.Of((S3EndpointParameters)parameters);
        if (_last is not { } known || known.Key != key)
            _last = known = new(key, _usual.ResolveEndpoint(parameters));
        // How requests are signed is as usual. A new object each time: the library changes the address in it.
        return new Endpoint(address ?? known.Url) { Attributes = known.Usual.Attributes, Headers = known.Usual.Headers };
    }

    private sealed record Known(Key Key, Endpoint Usual)
    {
        public string Url { get; } = Usual.URL;
    }

    // The parameters that differ between the requests of one client. The others are settings, or name objects, which no rule reads.
    private readonly record struct Key(string? Bucket, string? Region, bool? DisablesSession, bool? IsControl)
    {
        public static Key Of(S3EndpointParameters parameters) => new(
            parameters.Bucket, parameters.Region, parameters.DisableS3ExpressSessionAuth, parameters.UseS3ExpressControlEndpoint);
    }
}
