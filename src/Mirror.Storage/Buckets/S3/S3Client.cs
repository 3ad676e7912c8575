using Amazon;
using Amazon.Runtime;
using Amazon.S3;

namespace Mirror.Storage.Buckets.S3;

/// <summary>Creates the client of AWS's library from the settings.</summary>
internal static class S3Client
{
    // For request bodies. The library's 8 KiB cost much processor time, in the store as well.
    private const int BufferSize = 256 * 1024;

    /// <param name="endpoint">The address of the store; null for AWS in the region of the settings.</param>
    /// <param name="clock">Gets the dates of the store's answers.</param>
    public static AmazonS3Client Create(S3Options options, string? endpoint, StoreClock clock)
    {
        var checksums = options.Checksums ?? endpoint is null;
        var config = new AmazonS3Config
        {
            // AWS accelerates only addresses that begin with the bucket's name.
            ForcePathStyle = endpoint is null ? options is { ForcePathStyle: true, Accelerate: false } : options.ForcePathStyle ?? true,
            // They choose one of the addresses of AWS. The library throws where another address is given.
            UseAccelerateEndpoint = options.Accelerate && endpoint is null,
            UseDualstackEndpoint = options.UseDualStack && endpoint is null,
            UseFIPSEndpoint = options.UseFipsEndpoint && endpoint is null,
            RequestChecksumCalculation = checksums ? RequestChecksumCalculation.WHEN_SUPPORTED : RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            // Repeats with random pauses after throttling, 5xx and lost connections.
            RetryMode = RequestRetryMode.Standard,
            MaxErrorRetry = 2,
            HttpClientFactory = new Connections(clock, options.SkipVerify),
            UseHttp = !options.Secure,
            BufferSize = BufferSize,
        };
        if (endpoint is null)
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(options.Region);
        else
            (config.ServiceURL, config.AuthenticationRegion) = (Url(endpoint, options.Secure), options.Region);
        config.EndpointProvider = new BucketEndpoint(options.BucketEndpoint is { } own ? Url(own, options.Secure) : null);
        return (options.AccessKey, options.SecretKey, options.SessionToken) switch
        {
            ({ } access, { } secret, { } session) => new OneBucketClient(new SessionAWSCredentials(access, secret, session), config),
            ({ } access, { } secret, null) => new OneBucketClient(new BasicAWSCredentials(access, secret), config),
            _ => new OneBucketClient(config),
        };
    }

    private static string Url(string endpoint, bool secure) =>
        endpoint.Contains("://", StringComparison.Ordinal) ? endpoint : $"{(secure ? "https" : "http")}://{endpoint}";

#pragma warning disable CA1001 // The client lives as long as the process.
    private sealed class Connections(StoreClock clock, bool skipVerify) : HttpClientFactory
#pragma warning restore CA1001
    {
        private readonly HttpClient _client = BucketHttp.CreateOfStore(clock, skipVerify);

        public override HttpClient CreateHttpClient(IClientConfig clientConfig) => _client;

        public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

        public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;
    }
}
