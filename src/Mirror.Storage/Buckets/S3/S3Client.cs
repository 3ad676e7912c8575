using Amazon;
using Amazon.Runtime;
using Amazon.S3;

namespace Mirror.Storage.Buckets.S3;

/// <summary>Creates the client of AWS's library from the settings.</summary>
internal static class S3Client
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(3);

    // For request bodies. The library's 8 KiB cost much processor time, in the store as well.
    private const int BufferSize = 256 * 1024;

    /// <param name="endpoint">The address of the store; null for AWS in the region of the settings.</param>
    public static AmazonS3Client Create(S3Options options, string? endpoint)
    {
        var checksums = options.Checksums ?? endpoint is null;
        var config = new AmazonS3Config
        {
            ForcePathStyle = options.ForcePathStyle ?? endpoint is not null,
            UseAccelerateEndpoint = options.Accelerate,
            UseDualstackEndpoint = options.UseDualStack,
            UseFIPSEndpoint = options.UseFipsEndpoint,
            RequestChecksumCalculation = checksums ? RequestChecksumCalculation.WHEN_SUPPORTED : RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            // Repeats with random pauses after throttling, 5xx and lost connections.
            RetryMode = RequestRetryMode.Standard,
            MaxErrorRetry = 2,
            HttpClientFactory = new Connections(options.SkipVerify),
            UseHttp = !options.Secure,
            BufferSize = BufferSize,
        };
        if (endpoint is null)
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(options.Region);
        else
            (config.ServiceURL, config.AuthenticationRegion) = (Url(endpoint, options.Secure), options.Region);
        return (options.AccessKey, options.SecretKey, options.SessionToken) switch
        {
            ({ } access, { } secret, { } session) => new AmazonS3Client(new SessionAWSCredentials(access, secret, session), config),
            ({ } access, { } secret, null) => new AmazonS3Client(new BasicAWSCredentials(access, secret), config),
            _ => new AmazonS3Client(config),
        };
    }

    private static string Url(string endpoint, bool secure) =>
        endpoint.Contains("://", StringComparison.Ordinal) ? endpoint : $"{(secure ? "https" : "http")}://{endpoint}";

    // One pool of connections for the life of the process. It has no time limit: each call has its own.
#pragma warning disable CA1001
    private sealed class Connections(bool skipVerify) : HttpClientFactory
#pragma warning restore CA1001
    {
        private readonly HttpClient _client = new(new SocketsHttpHandler
        {
            ConnectTimeout = ConnectTimeout,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            AllowAutoRedirect = false,
            UseCookies = false,
#pragma warning disable CA5359 // storage.s3.skipverify asks for it.
            SslOptions = new() { RemoteCertificateValidationCallback = skipVerify ? static (_, _, _, _) => true : null },
#pragma warning restore CA5359
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };

        public override HttpClient CreateHttpClient(IClientConfig clientConfig) => _client;

        public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

        public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;
    }
}
