using Amazon.Runtime.Endpoints;
using Amazon.S3.Internal;
using Endpoint = Amazon.Runtime.Endpoints.Endpoint;

namespace Mirror.Storage.Buckets.S3;

/// <summary>Sends requests to the bucket's own address, such as a domain of its owner, and not to the usual one with its name.</summary>
internal sealed class BucketHost(string address) : IEndpointProvider
{
    private readonly AmazonS3EndpointProvider _usual = new();

    public Endpoint ResolveEndpoint(EndpointParameters parameters)
    {
        // How requests are signed is as usual.
        var usual = _usual.ResolveEndpoint(parameters);
        return new Endpoint(address) { Attributes = usual.Attributes, Headers = usual.Headers };
    }
}
