using System.Collections.Concurrent;
using Amazon.Runtime;
using Amazon.Runtime.Endpoints;
using Amazon.Runtime.Internal;
using Amazon.Runtime.Internal.Auth;
using Amazon.S3;
using Amazon.S3.Internal;

namespace Mirror.Storage.Buckets.S3;

/// <summary>
/// The client of AWS's library for the requests to one bucket. The library collects the parameters of the bucket's address twice for each
/// request, in one method that knows all operations. After a thousand calls the runtime compiles that method again, which takes 16 MiB
/// of memory. Here all requests of the same operation share the parameters: see also <see cref="BucketEndpoint"/>.
/// </summary>
internal sealed class OneBucketClient : AmazonS3Client
{
    public OneBucketClient(AWSCredentials credentials, AmazonS3Config config)
        : base(credentials, config)
    {
    }

    /// <summary>A client that looks for credentials in the places of AWS's programs.</summary>
    public OneBucketClient(AmazonS3Config config)
        : base(config)
    {
    }

    protected override void CustomizeRuntimePipeline(RuntimePipeline pipeline)
    {
        base.CustomizeRuntimePipeline(pipeline);
        var addresses = new Addresses();
        pipeline.ReplaceHandler<AmazonS3EndpointResolver>(addresses);
        pipeline.ReplaceHandler<AmazonS3AuthSchemeHandler>(new Signatures(addresses));
    }

    private sealed class Addresses : AmazonS3EndpointResolver
    {
        // By operation, and by the region that the store named if it is not the one of the settings.
        private readonly ConcurrentDictionary<(Type Operation, string? Region), EndpointParameters> _known = new();

        // They also have the key of the first object that was asked for, which no rule for addresses reads.
        protected override EndpointParameters MapEndpointsParameters(IRequestContext requestContext) => _known.GetOrAdd(
            (requestContext.OriginalRequest.GetType(), requestContext.Request.AlternateEndpoint?.SystemName),
            (_, request) => base.MapEndpointsParameters(request),
            requestContext);
    }

    /// <summary>How requests are signed, which the address decides. The library's own class has another source of addresses.</summary>
    private sealed class Signatures(Addresses addresses) : AmazonS3AuthSchemeHandler
    {
        protected override List<IAuthSchemeOption> ResolveAuthOptions(IExecutionContext executionContext) =>
            RetrieveSchemesFromEndpoint(addresses.GetEndpoint(executionContext)) ?? base.ResolveAuthOptions(executionContext);
    }
}
